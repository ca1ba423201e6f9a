from __future__ import annotations

import json
import stat

import pytest

from sluicegate.kit import registry
from tests.fixtures.home import sluice


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_init_makes_a_home_once(call, tmp_path):
    told = call("init", "--json")
    home = tmp_path / "home"
    assert told.json == {"home": str(home), "made": ["root.key", "sluice.toml", "tls/"]}
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert call("init", "--json").json["made"] == []
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


@pytest.mark.security
def test_keys_are_for_their_owner_alone(call, tmp_path):
    call("init")
    home = tmp_path / "home"
    assert mode(home) == mode(home / "tls") == 0o700
    keys = [home / "root.key", home / "sluice.toml", *(each for each in (home / "tls").iterdir() if "key" in each.name)]
    assert len(keys) >= 4
    assert {mode(each) for each in keys} == {0o600}


@pytest.mark.slow
def test_the_example_runs_as_it_is(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "sluice run --local sluice-example/flow.yaml" in call("init", "--example").out
    told = call("run", "--local", "sluice-example/flow.yaml", "--json")
    assert (told.code, told.json["state"]) == (0, "succeeded"), told
    assert told.json["counts"]["written"] > 0
    assert (tmp_path / "sluice-example" / "cheap.parquet").exists()
    assert call("init", "--example").code == 2


def test_an_own_certificate_comes_with_its_key(call, tmp_path):
    call("init")
    made = tmp_path / "home" / "tls"
    other = tmp_path / "other"
    cert, key = made / "server.pem", made / "server-key.pem"
    assert call("init", "--certificate", cert, home=other).code == 2
    assert call("init", "--certificate", cert, "--key", key, home=other).code == 0
    assert str(cert) in (other / "sluice.toml").read_text()
    assert not (other / "tls").exists()


def test_settings_are_listed_with_what_was_changed(call, tmp_path, monkeypatch):
    monkeypatch.setenv("SLUICE_SERVER_PORT", "9443")
    told = call("settings", "--json").json
    assert {each["setting"]: each["value"] for each in told["items"]}["server.port"] == "9443"
    assert all(each["meaning"] for each in told["items"])
    assert "server.port = 9443   (default 8443)" in call("settings").out
    monkeypatch.setenv("SLUICE_SERVER_PROT", "1")
    told = call("settings")
    assert told.code == 2
    assert "unknown setting" in told.err


@pytest.mark.parametrize("kind", ["connection", "format", "step"])
def test_there_is_a_schema_for_every_plugin(call, kind):
    types = call("schema", kind).json["types"]
    assert types == list(registry.types(kind))
    for each in types:
        schema = call("schema", kind, each).json
        assert schema["type"] == "object"
        assert schema["properties"]
        assert schema["additionalProperties"] is False
    assert call("schema", kind, "castle").code == 2


def test_flows_and_recipients_have_a_schema(call):
    for kind in ("flow", "recipient"):
        assert "name" in json.loads(call("schema", kind).out)["properties"]
        assert call("schema", kind, "--json").json == call("schema", kind).json


@pytest.mark.security
def test_an_archive_opens_for_its_identity_and_a_changed_one_leaves_nothing(call, tmp_path):
    from sluicegate.crypto import seal

    told = call("archive", "keygen", tmp_path / "id.txt", "--json").json
    assert mode(tmp_path / "id.txt") == 0o600
    assert "AGE-SECRET-KEY" not in json.dumps(told)
    with (tmp_path / "a.age").open("wb") as out, seal.seal_to([told["recipient"]], out) as sealed:
        sealed.write(b"rows" * 100_000)
    words = ("archive", "open", tmp_path / "a.age", "--identity", tmp_path / "id.txt", "-o", tmp_path / "a", "--json")
    assert call(*words).json == {"output": str(tmp_path / "a"), "bytes": 400_000}
    assert (tmp_path / "a").read_bytes() == b"rows" * 100_000
    assert call(*words).code == 2
    (tmp_path / "a").unlink()
    whole = (tmp_path / "a.age").read_bytes()
    for broken in (whole[:-1], whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:], whole[:200]):
        (tmp_path / "a.age").write_bytes(broken)
        told = call(*words)
        assert told.code != 0
        assert told.json["error"]["code"] == "corrupt"
        assert sorted(each.name for each in tmp_path.iterdir()) == ["a.age", "id.txt"]
    assert call("archive", "keygen", tmp_path / "id.txt").code == 2


def test_a_list_of_breached_passwords_is_imported_from_a_file_or_a_pipe(call, tmp_path):
    import hashlib

    lines = "".join(
        sorted(
            f"{hashlib.sha1(each.encode(), usedforsecurity=False).hexdigest().upper()}:{n}\r\n"
            for n, each in enumerate("abc")
        )
    )
    (tmp_path / "list.txt").write_text(lines)
    assert "sluice init" in call("passwords", "import", str(tmp_path / "list.txt")).err
    call("init")
    told = call("passwords", "status", "--json").json
    assert (told["breached"], told["imported"]) == (0, None)
    assert told["common"] > 40_000
    assert call("passwords", "import", str(tmp_path / "list.txt"), "--json").json == {"passwords": 3}
    told = call("passwords", "status", "--json").json
    assert told["breached"] == 3
    assert told["imported"].endswith("Z")
    assert sluice(tmp_path / "home", "passwords", "import", "-", told=lines[:43]) == {"passwords": 1}
    assert call("passwords", "status", "--json").json["breached"] == 1


@pytest.mark.security
@pytest.mark.req("SEC-A05")
def test_a_list_with_a_bad_line_changes_nothing_and_the_line_is_named(call, tmp_path):
    call("init")
    (tmp_path / "list.txt").write_text("0" * 40 + "\n" + "correct horse battery\n")
    told = call("passwords", "import", str(tmp_path / "list.txt"))
    assert told.code == 2
    assert "list.txt:2" in told.err
    assert "correct" not in told.err
    assert not (tmp_path / "home" / "breached-passwords.bin").exists()
    assert mode(tmp_path / "home") == 0o700
