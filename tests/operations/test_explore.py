from __future__ import annotations

import pytest

from sluicegate.base.errors import Failed, Invalid, Missing, SluiceError
from sluicegate.base.model import new_id
from sluicegate.base.principal import Role

DOCUMENTS = """\
kind: connection
name: exp-here
type: files
root: .
---
kind: connection
name: exp-db
type: postgres
host: 127.0.0.1
port: 1
database: d
user: u
password: { secret: exp-unset }
---
kind: flow
name: exp-flow
params: { most: { type: int64, default: 100 } }
steps:
  - read: { name: rows, connection: exp-here, item: in.csv }
  - write: { name: out, from: rows, connection: exp-here, item: "out-{most}.csv" }
"""


@pytest.fixture
def operator(place):
    """Give somebody who may look into a tenant with three files."""
    place.call("definition.apply", {"source": DOCUMENTS}, place.token(Role.EDITOR))
    folder = place.settings.data / place.tenants["north"]
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    (folder / "in.csv").write_text("id,name\n" + "".join(f"{each},n{each}\n" for each in range(50)))
    (folder / "sub" / "deep.csv").write_text("a\n1\n")
    return place.token(Role.OPERATOR)


def test_a_connection_says_whether_it_works(place, operator):
    got = place.call("connection.test", {"name": "exp-here"}, operator)
    assert got.name == "exp-here"
    assert got.answer


def test_items_are_listed_with_their_type_and_size(place, operator):
    items = {each.name: each for each in place.call("connection.items", {"name": "exp-here"}, operator).items}
    assert items["in.csv"].type == "file"
    assert items["in.csv"].bytes == (place.settings.data / place.tenants["north"] / "in.csv").stat().st_size


def test_items_below_a_folder_are_those_only(place, operator):
    items = place.call("connection.items", {"name": "exp-here", "under": "sub"}, operator).items
    assert [each.name for each in items if each.type == "file"] == ["sub/deep.csv"]


def test_a_preview_shows_columns_types_and_the_first_rows_and_writes_nothing(place, operator):
    got = place.call("flow.preview", {"name": "exp-flow", "step": "rows", "limit": 3}, operator)
    assert got.columns == {"id": "int64", "name": "text"}
    assert got.rows == ((0, "n0"), (1, "n1"), (2, "n2"))
    assert not list((place.settings.data / place.tenants["north"]).glob("out*"))
    assert place.call("run.list", {"flow": "exp-flow"}, operator).items == ()


@pytest.mark.security
@pytest.mark.req("SEC-D05")
@pytest.mark.parametrize("limit", [0, 501, -1, "all"])
def test_a_preview_has_a_largest_size(place, operator, limit):
    with pytest.raises(Invalid, match="limit"):
        place.call("flow.preview", {"name": "exp-flow", "step": "rows", "limit": limit}, operator)


def test_a_flow_is_explained_and_nothing_of_it_happens(place, operator):
    got = place.call("flow.explain", {"name": "exp-flow"}, operator)
    assert [(each.name, each.type, each.columns) for each in got.steps] == [
        ("rows", "read", {"id": "int64", "name": "text"})
    ]
    assert [each.way for segment in got.segments for each in segment.writes] == ["batches"]
    assert not list((place.settings.data / place.tenants["north"]).glob("out*"))
    assert place.call("run.list", {"flow": "exp-flow"}, operator).items == ()
    with pytest.raises(Invalid, match="other"):
        place.call("flow.explain", {"name": "exp-flow", "params": {"other": 1}}, operator)


def test_a_preview_is_told_what_a_run_would_be(place, operator):
    with pytest.raises(Invalid, match="other"):
        place.call("flow.preview", {"name": "exp-flow", "step": "rows", "params": {"other": 1}}, operator)


def test_a_step_that_is_not_there_is_an_error_that_names_it(place, operator):
    with pytest.raises(SluiceError, match="nowhere"):
        place.call("flow.preview", {"name": "exp-flow", "step": "nowhere"}, operator)


@pytest.mark.parametrize(
    ("operation", "ask"),
    [("connection.test", {"name": "nowhere"}), ("connection.items", {"name": "nowhere"}), ("flow.preview", {"name": "nowhere", "step": "a"}),
     ("flow.explain", {"name": "nowhere"}),
     ("run.rejects", {"id": new_id()})],
)  # fmt: skip
def test_what_is_not_there_is_missing(place, operator, operation, ask):
    with pytest.raises(Missing):
        place.call(operation, ask, operator)


@pytest.mark.security
@pytest.mark.parametrize("under", ["..", "../..", "/etc", "sub/../..", "a\0b"])
def test_looking_never_leads_out_of_the_folder(place, operator, under):
    with pytest.raises(SluiceError) as told:
        place.call("connection.items", {"name": "exp-here", "under": under}, operator)
    assert "passwd" not in str(told.value)
    assert str(place.home) not in str(told.value)


def test_a_secret_that_is_not_set_is_named_with_what_to_do(place, operator):
    with pytest.raises(Failed, match="'exp-unset' is not set") as told:
        place.call("connection.test", {"name": "exp-db"}, operator)
    assert told.value.hint == "Set it: sluice secret set exp-unset"
    assert told.value.where == "connection exp-db"


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_a_test_that_fails_does_not_tell_the_secret_and_loopback_stays_shut(place, operator):
    source = DOCUMENTS.split("---\n")[1].replace("exp-db", "exp-shut").replace("exp-unset", "exp-shut")
    place.call("definition.apply", {"source": source}, place.token(Role.EDITOR))
    place.call("secret.set", {"name": "exp-shut", "value": "canary-hunter2"}, place.token(Role.EDITOR))
    with pytest.raises(SluiceError) as told:
        place.call("connection.test", {"name": "exp-shut"}, operator)
    assert told.value.code == "egress_refused"
    assert "canary" not in str(told.value)


def test_a_run_without_rejects_shows_none(place, operator):
    got = place.call("run.rejects", {"id": place.a_run("north")}, operator)
    assert (got.items, got.total) == ((), 0)


@pytest.mark.security
@pytest.mark.req("SEC-D05")
def test_a_preview_of_wide_rows_is_bounded_and_says_so(place, operator):
    source = DOCUMENTS.split("---\n")[2].replace("exp-flow", "exp-wide").replace("in.csv", "wide.csv")
    place.call("definition.apply", {"source": source}, place.token(Role.EDITOR))
    folder = place.settings.data / place.tenants["north"]
    (folder / "wide.csv").write_text("id,text\n" + "".join(f"{each},{'x' * 90_000}\n" for each in range(300)))
    got = place.call("flow.preview", {"name": "exp-wide", "step": "rows", "limit": 300}, operator)
    assert 200 < len(got.rows) < 300
    assert got.rows[0][1].startswith("x" * 16_384)
    assert got.cut == (
        f"Values of more than 16384 characters are cut. Only {len(got.rows)} rows are shown: more would take over 4 MiB."
    )
    assert len(got.model_dump_json()) < 5 << 20
    few = place.call("flow.preview", {"name": "exp-flow", "step": "rows", "limit": 3}, operator)
    assert (len(few.rows), few.cut) == (3, "")


@pytest.mark.security
@pytest.mark.req("SEC-B11", "SEC-B01")
def test_personal_columns_are_found_without_a_value_and_on_record(place, operator):
    folder = place.settings.data / place.tenants["north"]
    (folder / "people.csv").write_text("id,contact\n" + "".join(f"{n},canary{n}@example.org\n" for n in range(20)))
    seen = place.head()
    got = place.call("connection.detect", {"name": "exp-here", "item": "people.csv"}, operator)
    assert (got.rows, [(each.column, each.category, each.by) for each in got.items]) == (
        20,
        [("contact", "email", "content")],
    )
    assert "method: hash" in got.step
    assert "canary" not in got.model_dump_json()
    told = place.records(after=seen)
    assert [(each["action"], each["result"]) for each in told] == [
        ("connection.detect", "asked"),
        ("connection.detect", "ok"),
    ]
    assert "canary" not in str(told)
    assert sorted(each.name for each in folder.iterdir() if "people" in each.name) == ["people.csv"]


@pytest.mark.security
@pytest.mark.parametrize("ask", [{"rows": 0}, {"rows": 10_001}, {"item": ""}, {"item": "x" * 1025}, {"format": "../x"}])
def test_how_much_is_looked_through_is_bounded(place, operator, ask):
    with pytest.raises(Invalid):
        place.call("connection.detect", {"name": "exp-here", "item": "in.csv", **ask}, operator)
