"""Shared by the tests of the MySQL connector."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sluicegate.base.secret import Secret
from sluicegate.conformance.loading import ANY
from sluicegate.conformance.samples import table
from sluicegate.connectors.mysql import Mysql
from sluicegate.kit.connection import Read
from sluicegate.kit.context import Context
from sluicegate.kit.mode import Append
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.rows import Marker


def connection(server, **more):
    given = {"host": server.host, "port": server.port, "database": server.dbname, "user": server.user, "tls": "disable"}
    return Mysql(name="store", password={"secret": "pw"}, **given | more)


def context(root, password, **more):
    return Context(net=Net(Egress.local()), files=root, secrets={"pw": Secret(password)}, **more)


@pytest.fixture
def store(mariadb):
    database = mariadb.fresh()
    yield database
    database.drop()


@pytest.fixture
def store_ctx(tmp_path, store):
    with Root(tmp_path) as root:
        yield context(root, store.password)


def load(server, ctx, columns, mode=None, *, item="t", run="r"):
    found = columns if isinstance(columns, pa.Table) else table(columns)
    with (
        connection(server).open(ctx) as session,
        session.stage(item, found.schema, mode or Append(), Marker(run, "w"), ANY) as stage,
    ):
        if stage.done:
            return stage.done
        for batch in found.to_batches():
            stage.write(batch)
        return stage.commit()


def read(server, ctx, item="t", **ask):
    with connection(server).open(ctx) as session:
        return session.read(Read(item=item, **ask)).read_all()
