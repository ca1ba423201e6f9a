"""What a task tells beside an archive."""

from __future__ import annotations

import hashlib
import json

import pytest

from sluicegate.connectors.files import FilesSession
from sluicegate.crypto.keys import Key
from sluicegate.crypto.manifest import Digest, Warrant, check
from sluicegate.engine.manifests import Origin, Witness
from sluicegate.guard.archives import Archives
from sluicegate.kit.paths import Root
from sluicegate.kit.rows import Marker
from sluicegate.kit.seals import Age
from tests.fixtures.seals import pair

SIGNER = Archives(Key(b"\1" * 64))


@pytest.fixture
def session(tmp_path):
    with Root(tmp_path) as root:
        made = FilesSession(".", root)
        yield made
        made.close()


def witnessed(session, origin, tmp_path):
    witness = Witness(session, "x.age", Marker("r", "s"), Age(to=("dpo",)), origin)
    with (tmp_path / "x.age").open("wb") as out:
        witness.above(witness.below(out)).write(b"canary")
    return witness


@pytest.mark.security
@pytest.mark.req("SEC-F01")
def test_it_tells_both_sides_of_the_seal_and_is_signed(session, tmp_path):
    warrant = Warrant.read(SIGNER.warrant("t", {"run": "r"}))
    witness = witnessed(session, Origin(warrant.body["claims"], warrant), tmp_path)
    told = witness.stage(3, [pair("age").keys.recipients["dpo"]])
    assert not (tmp_path / "x.age.manifest.json").exists(), "before the archive is there"
    witness.commit()
    assert json.loads((tmp_path / "x.age.manifest.json").read_text()) == told
    check(told, SIGNER.public)
    digest = Digest(warrant.content)
    digest.update(b"canary")
    assert told["archive"] == {"item": "x.age", "bytes": 6, "sha256": hashlib.sha256(b"canary").hexdigest()}
    assert told["content"] == {"rows": 3, "bytes": 6, "hmac_sha256": digest.told()}
    assert (told["made"]["run"], told["made"]["step"]) == ("r", "s")
    assert hashlib.sha256(b"canary").hexdigest() not in json.dumps(told["content"]), "nobody can try guesses at it"


def test_without_a_server_nothing_is_signed_and_nothing_said_of_what_is_inside(session, tmp_path):
    told = witnessed(session, Origin({"flow": "f"}), tmp_path).stage(3, [], resealed="00")
    assert "signature" not in told
    assert told["content"] == {"rows": 3}
    assert told["made"]["resealed"] == "00"


def test_one_that_is_aborted_leaves_nothing(session, tmp_path):
    witness = witnessed(session, Origin({}), tmp_path)
    witness.abort()
    witness.stage(3, [])
    witness.abort()
    assert [each.name for each in tmp_path.iterdir()] == ["x.age"]
