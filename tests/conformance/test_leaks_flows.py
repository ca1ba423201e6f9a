"""What carries canaries leaves out none of the product's parts."""

from __future__ import annotations

import pytest

from sluicegate.conformance.leaks import flows
from sluicegate.engine import archive
from sluicegate.kit import document, registry
from sluicegate.kit.connection import Connection
from sluicegate.kit.flow import Flow


@pytest.fixture
def documents(tmp_path):
    age = archive.make_key(tmp_path / "age", "age")["recipient"]
    pgp = archive.make_key(tmp_path / "pgp", "openpgp", "Canary <canary@leaks.invalid>")["recipient"]
    return [each.definition for each in document.read(flows.documents(age, pgp))]


@pytest.mark.security
def test_rows_go_through_every_step_and_secrets_into_every_connection_there_is(documents):
    """A new step or connection needs its canary here."""
    made = [each for each in documents if isinstance(each, Flow)]
    assert {step.type for flow in made for step in flow.steps} == set(registry.types("step"))
    found = [each for each in documents if isinstance(each, Connection)]
    assert {each.type for each in found} == set(registry.types("connection"))
    assert {flow.name for flow in made} == set(flows.STATES), "each runs, and it is said how it must end"
    named = {name for each in found for name in each.secret_names()}
    assert named == {*flows.CREDENTIALS, "database"}


@pytest.mark.security
def test_what_is_masked_is_no_place_where_rows_may_lie(documents):
    (masked,) = [each for each in documents if each.name == "masked"]
    assert masked.steps[-1].item not in flows.PLAIN
