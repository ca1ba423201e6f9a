"""``sluice archive`` without a server."""

from __future__ import annotations

import json

import pytest

from sluicegate.crypto.keys import Key
from sluicegate.engine.manifests import Origin
from sluicegate.guard.archives import Archives
from tests.fixtures.seals import opened, pair, sealed

ROWS = b"id\n" + b"7\n" * 1000
SIGNER = Archives(Key(b"\1" * 64))


def files(folder):
    return sorted(each.name for each in folder.iterdir())


@pytest.fixture
def key(tmp_path, request):
    """The file with what opens an archive of a kind."""
    file = tmp_path / "key.txt"
    file.write_text(pair(request.param).keys.secrets["key"].reveal() + "\n")
    return file


@pytest.mark.security
@pytest.mark.req("SEC-F02")
@pytest.mark.parametrize(("kind", "key"), [(each, each) for each in ("age", "openpgp", "zip")], indirect=["key"])
def test_an_archive_of_any_kind_opens_and_a_changed_one_leaves_nothing(call, tmp_path, kind, key):
    (tmp_path / "a").write_bytes(sealed(kind, ROWS))
    words = ("archive", "open", tmp_path / "a", "--identity", key, "-o", tmp_path / "out", "--json")
    assert call(*words).json == {"output": str(tmp_path / "out"), "bytes": len(ROWS)}
    assert (tmp_path / "out").read_bytes() == ROWS
    assert call(*words).code == 2, "never over another file"
    (tmp_path / "out").unlink()
    (tmp_path / "a").write_bytes(sealed(kind, ROWS)[:-5])
    got = call(*words)
    assert (got.code, got.json["error"]["code"]) == (1, "corrupt")
    assert files(tmp_path) == ["a", "key.txt"]


@pytest.mark.security
@pytest.mark.req("SEC-F05")
def test_resealed_here_it_opens_for_the_new_recipient_alone(call, tmp_path):
    told = call("archive", "keygen", tmp_path / "new.txt", "--json").json
    (tmp_path / "old.txt").write_text(pair("age").keys.secrets["key"].reveal())
    file = tmp_path / "a.age"
    file.write_bytes(sealed("age", ROWS))
    before = file.read_bytes()
    words = ("archive", "reseal", "--local", file, "--identity", tmp_path / "old.txt", "--json")
    assert call(*words).code == 2, "for nobody"
    assert call(*words, "--to", "age1nonsense").code == 2
    assert call(*words[:4], "--json").code == 2
    assert file.read_bytes() == before
    assert call(*words, "--to", told["recipient"]).code == 0
    assert call("archive", "open", file, "--identity", tmp_path / "old.txt", "-o", tmp_path / "out").code == 1
    assert call("archive", "open", file, "--identity", tmp_path / "new.txt", "-o", tmp_path / "out").code == 0
    assert (tmp_path / "out").read_bytes() == ROWS
    assert files(tmp_path) == ["a.age", "new.txt", "old.txt", "out"]


@pytest.mark.security
def test_a_zip_gets_a_new_passphrase_here(call, tmp_path):
    assert call("archive", "keygen", tmp_path / "new.txt", "--seal", "zip").code == 0
    (tmp_path / "old.txt").write_text(pair("zip").keys.secrets["key"].reveal())
    (tmp_path / "a.zip").write_bytes(sealed("zip", ROWS))
    words = ("archive", "reseal", "--local", tmp_path / "a.zip", "--identity", tmp_path / "old.txt")
    assert call(*words).code == 2
    assert call(*words, "--passphrase", tmp_path / "new.txt").code == 0
    assert (
        call("archive", "open", tmp_path / "a.zip", "--identity", tmp_path / "new.txt", "-o", tmp_path / "out").code
        == 0
    )


@pytest.mark.security
def test_a_manifest_is_checked_here_with_the_installation_s_key_alone(call, tmp_path):
    import pyarrow as pa

    from sluicegate.connectors.files import FilesSession
    from sluicegate.crypto.manifest import Warrant
    from sluicegate.engine.outlet import open_outlet
    from sluicegate.kit.paths import Root
    from sluicegate.kit.rows import Marker
    from sluicegate.steps.archive import Archive

    made, step = pair("age"), {"from": "a", "connection": "c", "item": "x.csv.age", "seal": {"to": ["dpo"]}}
    warrant = Warrant.read(SIGNER.warrant("t", {"flow": "f", "run": "r"}))
    origin, table = Origin(warrant.body["claims"], warrant), pa.table({"id": [1, 2]})
    with Root(tmp_path) as root:
        session = FilesSession(".", root)
        with open_outlet(session, Archive.model_validate(step), "x.csv.age", table.schema, Marker("r", "s"), made.keys, origin) as out:  # fmt: skip
            for batch in table.to_batches():
                out.write(batch)
            out.commit()
    (tmp_path / "pem").write_text(SIGNER.public)
    words = ("archive", "verify", "--local", tmp_path / "x.csv.age", "--json")
    got = call(*words, "--key", tmp_path / "pem").json
    assert (got["signed"], got["manifest"]["content"]["rows"]) == (True, 2)
    assert call(*words).json["signed"] is False
    other = tmp_path / "other"
    other.write_text(Archives(Key(b"\2" * 64)).public)
    assert call(*words, "--key", other).json["error"]["code"] == "corrupt"
    (tmp_path / "x.csv.age").write_bytes(sealed("age", b"id\n1\n3\n"))
    assert call(*words, "--key", tmp_path / "pem").json["error"]["code"] == "corrupt"
    assert json.loads((tmp_path / "x.csv.age.manifest.json").read_text())["made"]["step"] == "s"


@pytest.mark.parametrize(("kind", "key"), [("openpgp", "openpgp")], indirect=["key"])
def test_an_openpgp_key_is_made_and_sealed_for_and_who_signed_is_asked(call, tmp_path, kind, key):
    got = call("archive", "keygen", tmp_path / "me.asc", "--seal", "openpgp", "--name", "Me <me@example.org>", "--json")
    assert got.json["recipient"].startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    (tmp_path / "a").write_bytes(sealed(kind, ROWS))
    (tmp_path / "signer.asc").write_text(pair(kind).keys.recipients["dpo"])
    (tmp_path / "me.pub").write_text(got.json["recipient"])
    words = ("archive", "open", tmp_path / "a", "--identity", key, "-o", tmp_path / "out")
    assert call(*words, "--signed-by", tmp_path / "me.pub").code == 1
    assert call(*words, "--signed-by", tmp_path / "signer.asc").code == 0
    assert opened(kind, (tmp_path / "a").read_bytes()) == ROWS


def test_what_goes_only_with_a_file_here_or_is_missing_is_told(call):
    for words in (("verify", "c"), ("verify", "c", "x", "--key", __file__), ("reseal", "c", "x")):
        assert call("archive", *words).code == 2
