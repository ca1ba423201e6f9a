"""What documents say about seals."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Invalid
from sluicegate.crypto.seal.openpgp import new_key
from sluicegate.kit import bundle, document, seals
from sluicegate.kit.seals import Age, OpenPgp, Zip

KEY, CERT = new_key("a <a@example.org>")
HERE = "kind: connection\nname: here\ntype: files\n---\nkind: connection\nname: shop\ntype: sqlite\npath: s.db\n---\n"
RECIPIENTS = "kind: recipient\nname: dpo\nrecipient: age1abc\n---\nkind: recipient\nname: firm\ntype: openpgp\nrecipient: |\n{}\n---\n".format(
    "\n".join(f"  {line}" for line in CERT.splitlines())
)
FLOW = "kind: flow\nname: f\nsteps:\n  - read: {{ name: a, connection: {0}, item: x.csv.age{1} }}\n  - write: {{ name: w, from: a, connection: here, item: y.csv{2} }}\n"


def checked(source="here", opening="", sealing=""):
    found = document.read(HERE + RECIPIENTS + FLOW.format(source, opening, sealing))
    bundle.check(found, bundle.finder(found), hint="Add it.")
    return found[-1]


@pytest.mark.parametrize(
    ("seal", "item", "inner"),
    [
        (Age(to=("dpo",)), "a/x.csv.age", "a/x.csv"),
        (Age(to=("dpo",)), "x.CSV.AGE", "x.CSV"),
        (Age(to=("dpo",)), "x.csv.zip", "x.csv.zip"),
        (Age(to=("dpo",)), ".age", ".age"),
        (OpenPgp(type="openpgp", to=("dpo",)), "x.parquet.gpg", "x.parquet"),
        (Zip(type="zip", passphrase={"secret": "p"}), "x.csv.zst.zip", "x.csv.zst"),
    ],
)
def test_the_name_under_the_seal_is_that_without_its_ending(seal, item, inner):
    assert seal.inner(item) == inner


def test_a_seal_without_a_type_is_of_age_and_stays_as_it_was_written():
    found = checked(sealing=", seal: { to: [dpo, age1other] }")
    assert found.body["steps"][1]["write"]["seal"] == {"to": ["dpo", "age1other"]}
    assert [name for name, _ in seals.recipients(found.definition.steps[1])] == ["dpo"]


def test_names_of_secrets_and_recipients_are_told():
    found = checked(
        opening=", seal: { type: openpgp, identity: { secret: mine }, signed_by: [firm] }",
        sealing=", seal: { type: openpgp, to: [firm], sign: { secret: mine } }",
    )
    assert [name for name, _ in seals.secret_names(found.definition.steps)] == ["mine", "mine"]
    used = {(kind, name) for kind, name, _ in document.names_used([found])}
    assert ("recipient", "firm") in used


@pytest.mark.security
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"sealing": ", seal: { type: rot13, to: [dpo] }"}, "seal"),
        ({"sealing": ", seal: { type: [age], to: [dpo] }"}, "seal"),
        ({"sealing": ", seal: age"}, "seal"),
        ({"sealing": ", seal: { to: [] }"}, "to"),
        ({"sealing": ", seal: { type: zip, passphrase: hunter2 }"}, "names a secret and never holds one"),
        ({"sealing": ", seal: { type: openpgp, to: [dpo] }"}, "'dpo' has a key for age"),
        ({"sealing": ", seal: { to: [firm] }"}, "'firm' has a key for openpgp"),
        ({"sealing": ", seal: { to: [nobody] }"}, "no recipient 'nobody'"),
        ({"opening": ", seal: { to: [dpo] }"}, "seal"),
        ({"source": "shop", "opening": ", seal: { identity: { secret: k } }"}, "does not give files"),
    ],
)
def test_what_makes_no_sense_is_refused_and_the_step_named(words, said):
    with pytest.raises(Invalid, match=said) as told:
        checked(**words)
    assert "hunter2" not in str(told.value)


@pytest.mark.security
def test_a_recipient_is_a_public_key_of_its_type():
    for type_, key in (("openpgp", KEY.reveal()), ("openpgp", "age1abc"), ("age", CERT), ("openpgp", CERT[:200])):
        with pytest.raises(Invalid) as told:
            document.parse_definition({"kind": "recipient", "name": "r", "type": type_, "recipient": key})
        assert KEY.reveal()[100:140] not in str(told.value)
