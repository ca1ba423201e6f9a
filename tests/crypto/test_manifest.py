"""Manifests say where an archive came from, and cannot be made to say anything else."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt
from sluicegate.crypto.keys import Key
from sluicegate.crypto.manifest import READS, Digest, Warrant, check, issue, read, sign
from sluicegate.crypto.signing import Signer

SIGNER, OTHER = Signer(Key(b"\1" * 64)), Signer(Key(b"\2" * 64))
CONTENT = Key(b"\3" * 64)
CLAIMS = {"tenant": "t", "flow": "f", "flow_version": 3, "run": "r"}
BODY = {
    "archive": {"item": "x.csv.age", "bytes": 10, "sha256": "00"},
    "content": {"rows": 2},
    "seal": {"type": "age", "recipients": ["age1x"]},
    "made": {**CLAIMS, "step": "a"},
}
WARRANT = Warrant.read(issue(SIGNER, CONTENT, CLAIMS))
MADE = sign(BODY, WARRANT)


def test_a_signed_one_verifies_with_the_installation_s_key_alone():
    told = read(json.dumps(MADE).encode())
    check(told, SIGNER.public)
    assert told["archive"] == BODY["archive"]


@pytest.mark.security
def test_one_of_another_installation_or_unsigned_does_not():
    for made, public in ((MADE, OTHER.public), (sign(BODY, None), SIGNER.public), (MADE, "nonsense")):
        with pytest.raises(Corrupt):
            check(made, public)


def places(value, path=()):
    if isinstance(value, dict):
        for key, each in value.items():
            yield from places(each, (*path, key))
    else:
        yield path


@pytest.mark.security
@pytest.mark.req("SEC-F02")
@pytest.mark.parametrize("path", list(places(MADE)), ids=".".join)
def test_no_word_of_it_can_be_changed_or_left_out(path):
    for change in ("change", "drop"):
        wrong = copy.deepcopy(MADE)
        inner = wrong
        for key in path[:-1]:
            inner = inner[key]
        if change == "drop":
            del inner[path[-1]]
        else:
            inner[path[-1]] = "other"
        with pytest.raises(Corrupt):
            check(read(json.dumps(wrong).encode()), SIGNER.public)


@pytest.mark.security
def test_a_task_speaks_only_of_what_its_warrant_says():
    for name, value in (("run", "another"), ("flow", "another"), ("flow_version", 4), ("tenant", "another")):
        with pytest.raises(Corrupt):
            check(sign({**BODY, "made": {**BODY["made"], name: value}}, WARRANT), SIGNER.public)


@pytest.mark.security
def test_a_task_that_only_looks_signs_nothing():
    looking = Warrant.read(issue(SIGNER, CONTENT, {"tenant": "t", **READS}))
    with pytest.raises(Corrupt):
        check(sign({**BODY, "made": {**BODY["made"], **READS}}, looking), SIGNER.public)


@pytest.mark.security
def test_a_warrant_that_a_task_issues_itself_is_none():
    own = Warrant.read(issue(WARRANT.signer, CONTENT, {"tenant": "t"}))
    with pytest.raises(Corrupt):
        check(sign(BODY, own), SIGNER.public)


@pytest.mark.security
@given(st.binary(max_size=300) | st.recursive(st.none() | st.integers() | st.text(), lambda s: st.dictionaries(st.sampled_from(list(MADE)), s)).map(lambda v: json.dumps(v).encode()))  # fmt: skip
def test_whatever_stands_there_is_a_manifest_or_corrupt(raw):
    try:
        check(read(raw), SIGNER.public)
    except Corrupt:
        return
    raise AssertionError(raw)


@pytest.mark.security
def test_a_newer_version_is_refused():
    with pytest.raises(Corrupt, match="not a manifest"):
        read(json.dumps({**MADE, "sluicegate_manifest": 2}).encode())


@pytest.mark.security
def test_the_hash_of_what_is_inside_cannot_be_guessed_without_the_key():
    def told(key, *parts):
        made = Digest(key)
        for each in parts:
            made.update(each)
        return made.told(), made.bytes

    assert told(WARRANT.content, b"sal", b"ary") == told(WARRANT.content, b"salary")
    assert told(WARRANT.content, b"salary")[0] != told(b"other", b"salary")[0]
    assert told(WARRANT.content, b"salary")[1] == 6
