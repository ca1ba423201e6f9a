from __future__ import annotations

import pytest

from sluicegate.kit.paths import Root
from tests.connectors.warehouse import context
from tests.fixtures.postgres import postgres

__all__ = ["postgres"]


@pytest.fixture
def server(postgres):
    database = postgres.fresh()
    yield database
    database.drop()


@pytest.fixture
def ctx(tmp_path, server):
    with Root(tmp_path) as root:
        yield context(root, server.password)
