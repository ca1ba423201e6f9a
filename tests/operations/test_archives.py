"""Archives on a server: made by runs, listed, verified, sealed for others."""

from __future__ import annotations

import json

import pytest

from sluicegate.base.errors import Corrupt, Denied, Invalid, Missing, MissingFile
from sluicegate.base.principal import Role
from sluicegate.crypto import manifest, seal
from tests.fixtures.flow import add_run, put, wait_run

pytestmark = pytest.mark.slow
IDENTITY, RECIPIENT = seal.new_identity()
LATER, NEXT = seal.new_identity()
DOCUMENTS = f"""kind: connection
name: here
type: files
---
kind: recipient
name: dpo
recipient: {RECIPIENT}
---
kind: recipient
name: next
recipient: {NEXT}
---
kind: flow
name: f
steps:
  - read: {{ name: a, connection: here, item: in.csv }}
  - archive: {{ name: kept, from: a, connection: here, item: rows.csv.zst.age, seal: {{ to: [dpo] }} }}
  - write: {{ name: zipped, from: a, connection: here, item: rows.csv.zip, seal: {{ type: zip, passphrase: {{ secret: phrase }} }} }}
"""
ROWS = "id,name\n" + "".join(f"{each},canary-{each}\n" for each in range(500))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give an installation in which a run has sealed two files."""
    from tests.fixtures.server import Place

    place = Place(tmp_path_factory.mktemp("archives") / "home").settle()
    place.app.worker.open()
    scope = put(place)
    folder = place.settings.data / scope.tenant
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "in.csv").write_text(ROWS)
    editor = place.token_for("secret.set", Role.EDITOR)
    place.call("secret.generate", {"name": "phrase"}, editor)
    for name, value in (("identity", IDENTITY), ("later", LATER)):
        place.call("secret.set", {"name": name, "value": value.reveal()}, editor)
    place.call("definition.apply", {"source": DOCUMENTS}, place.token(Role.EDITOR))
    run = add_run(place, scope)
    place.app.worker.start(run, scope)
    found = wait_run(scope, run)
    assert found.state == "succeeded", found.error
    yield place, folder, run
    place.app.worker.close()
    place.close()


def verify(place, item="rows.csv.zst.age", role=Role.OPERATOR, **more):
    return place.call("archive.verify", {"name": "here", "item": item, **more}, place.token(role))


@pytest.mark.security
@pytest.mark.req("SEC-F01")
def test_a_run_leaves_a_signed_manifest_beside_each_archive(made):
    place, folder, run = made
    public = place.call("archive.key", {}, place.token(Role.VIEWER)).public
    for item, kind in (("rows.csv.zst.age", "age"), ("rows.csv.zip", "zip")):
        told = json.loads((folder / f"{item}.manifest.json").read_text())
        manifest.check(told, public)
        assert told["made"]["run"] == run
        assert (told["made"]["flow"], told["made"]["flow_version"]) == ("f", 1)
        assert told["content"]["rows"] == 500
        assert told["archive"]["bytes"] == (folder / item).stat().st_size
        assert told["seal"] == {"type": kind, "recipients": [RECIPIENT] if kind == "age" else []}
        assert b"canary" not in (folder / item).read_bytes()


def test_archives_are_listed_with_where_they_come_from(made):
    place, _, run = made
    found = place.call("archive.list", {}, place.token(Role.VIEWER)).items
    assert [(each.item, each.run, each.step, each.flow, each.rows) for each in found] == [
        ("rows.csv.zst.age", run, "kept", "f", 500),
        ("rows.csv.zip", run, "zipped", "f", 500),
    ]
    assert place.call("archive.list", {"before": run}, place.token(Role.VIEWER)).items == ()


@pytest.mark.security
@pytest.mark.req("SEC-F02")
def test_an_archive_verifies_opened_or_not_and_no_changed_one_does(made):
    place, folder, _ = made
    assert (verify(place).signed, verify(place).opened) == (True, False)
    assert verify(place, identity="identity").opened
    assert verify(place, "rows.csv.zip", seal="zip", identity="phrase").opened
    for item in ("rows.csv.zst.age", "rows.csv.zst.age.manifest.json"):
        file = folder / item
        whole = file.read_bytes()
        wrong = (
            [whole + b"x", whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]]
            if item.endswith(".age")
            else [whole.replace(b'"rows": 500', b'"rows": 501'), b"{}"]
        )
        for each in wrong:
            file.write_bytes(each)
            with pytest.raises(Corrupt):
                verify(place)
        file.write_bytes(whole)
    with pytest.raises(Corrupt):
        verify(place, identity="later")
    assert verify(place, identity="identity").opened


@pytest.mark.security
def test_an_archive_that_was_put_in_the_place_of_another_is_found(made):
    place, folder, _ = made
    for suffix in ("", ".manifest.json"):
        (folder / f"moved.csv.age{suffix}").write_bytes((folder / f"rows.csv.zst.age{suffix}").read_bytes())
    with pytest.raises(Corrupt, match="not the one"):
        verify(place, "moved.csv.age")
    with pytest.raises(MissingFile):
        verify(place, "in.csv")


@pytest.mark.security
@pytest.mark.req("SEC-F05")
def test_resealed_it_opens_for_the_new_recipients_and_no_longer_for_the_old(made):
    place, folder, run = made
    file, ask = folder / "rows.csv.zst.age", {"name": "here", "item": "rows.csv.zst.age"}
    before = file.read_bytes()
    told = json.loads((folder / f"{file.name}.manifest.json").read_text())
    operator = place.token_for("archive.reseal", Role.OPERATOR)
    for wrong, code in (({"identity": "later", "to": ("next",)}, Corrupt), ({"identity": "identity", "to": ("nobody",)}, Missing),
                        ({"identity": "identity"}, Invalid), ({"identity": "sluicegate-quarantine", "to": ("next",)}, Invalid)):  # fmt: skip
        with pytest.raises(code):
            place.call("archive.reseal", {**ask, **wrong}, operator)
        assert file.read_bytes() == before
        assert json.loads((folder / f"{file.name}.manifest.json").read_text()) == told
    seen = place.head()
    found = place.call("archive.reseal", {**ask, "identity": "identity", "to": ("next",)}, operator).manifest
    assert {each["action"] for each in place.records(after=seen)} == {"archive.reseal", "secret.use"}
    after = json.loads((folder / f"{file.name}.manifest.json").read_text())
    assert after == found
    assert after["seal"]["recipients"] == [NEXT]
    assert after["made"]["run"] == run
    assert after["made"]["resealed"] == told["archive"]["sha256"]
    assert after["content"] == told["content"]
    new = file.read_bytes()
    file.write_bytes(before)  # as a power cut between the two files leaves it
    with pytest.raises(Corrupt, match="cut off"):
        verify(place)
    place.call("archive.reseal", {**ask, "identity": "identity", "to": ("next",)}, operator)
    assert file.read_bytes() not in (new, before)
    with file.open("rb") as data, pytest.raises(Corrupt):
        seal.open_sealed(IDENTITY, data).read()
    assert verify(place, identity="later").opened
    place.call("archive.reseal", {**ask, "identity": "later", "to": ("dpo",)}, operator)
    assert verify(place, identity="identity").opened
    assert not [each.name for each in folder.iterdir() if each.name.startswith(".")]


@pytest.mark.security
@pytest.mark.req("SEC-F05")
def test_a_zip_gets_another_passphrase_and_a_weak_one_changes_nothing(made):
    place, folder, _ = made
    editor = place.token_for("secret.set", Role.EDITOR)
    place.call("secret.set", {"name": "weak", "value": "summer2024"}, editor)
    given = place.call("secret.generate", {"name": "other"}, editor)
    assert given.passphrase.count("-") == 6
    ask = {"name": "here", "item": "rows.csv.zip", "seal": "zip", "identity": "phrase"}
    before = (folder / "rows.csv.zip").read_bytes()
    with pytest.raises(Invalid, match="too weak"):
        place.call("archive.reseal", {**ask, "passphrase": "weak"}, editor)
    assert (folder / "rows.csv.zip").read_bytes() == before
    place.call("archive.reseal", {**ask, "passphrase": "other"}, editor)
    with pytest.raises(Corrupt):
        verify(place, "rows.csv.zip", seal="zip", identity="phrase")
    assert verify(place, "rows.csv.zip", seal="zip", identity="other").opened
    place.call("archive.reseal", {**ask, "identity": "other", "passphrase": "phrase"}, editor)
    assert verify(place, "rows.csv.zip", seal="zip", identity="phrase").opened


@pytest.mark.security
def test_what_an_archive_holds_is_told_to_nobody_and_no_superadmin_seals_it_anew(made):
    place, _, _ = made
    answer = str(verify(place, identity="identity").model_dump())
    assert "canary" not in answer
    assert IDENTITY.reveal() not in answer
    for operation in ("archive.verify", "archive.reseal"):
        ask = {"name": "here", "item": "rows.csv.zst.age", "identity": "identity", "to": ("next",)}
        with pytest.raises(Denied):
            place.call(
                operation,
                ask if operation == "archive.reseal" else {"name": "here", "item": "x"},
                place.token(Role.SUPERADMIN),
            )


@pytest.mark.security
@pytest.mark.req("SEC-F02", "SEC-F01")
def test_a_sealed_file_is_a_source_and_a_changed_one_lands_nothing(made):
    place, folder, _ = made
    read = (
        "kind: flow\nname: back\nsteps:\n"
        "  - read: { name: a, connection: here, item: rows.csv.zst.age, seal: { identity: { secret: identity } } }\n"
        "  - write: { from: a, connection: here, item: back.csv }\n"
    )
    place.call("definition.apply", {"source": read}, place.token(Role.EDITOR))
    scope = place.scope("north")
    operator = place.token(Role.OPERATOR)

    def run():
        return wait_run(scope, place.call("run.start", {"name": "back"}, operator).id)

    whole = (folder / "rows.csv.zst.age").read_bytes()
    for wrong in (whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:], whole + b"x"):
        (folder / "rows.csv.zst.age").write_bytes(wrong)
        found = run()
        assert (found.state, found.error["code"]) == ("failed", "corrupt")
        assert not (folder / "back.csv").exists()
    (folder / "rows.csv.zst.age").write_bytes(whole)
    assert run().state == "succeeded"
    assert (folder / "back.csv").read_text() == ROWS
    (folder / "back.csv").unlink()


@pytest.mark.security
def test_secrets_of_seals_are_told_by_their_flows(made):
    place, _, _ = made
    used = {each.name: each.used_by for each in place.call("secret.list", {}, place.token(Role.EDITOR)).items}
    assert used["phrase"] == ("f",)
