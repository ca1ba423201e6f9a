"""What an installation holds of its own is looked for, wherever its settings have it from."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.base import settings
from sluicegate.base.errors import Invalid
from sluicegate.base.secret import SecretUrl
from sluicegate.conformance.leaks import installation
from sluicegate.conformance.leaks.installation import Installation

WORD, OTHER = "a-canary-of-some-length", "another-canary-of-some-length"


def hold(home: Path, toml: str, **variables: str) -> Installation:
    (home / "sluice.toml").write_text(toml)
    return Installation(settings.load({"SLUICE_HOME": str(home), **variables}), variables)


@pytest.mark.security
def test_every_setting_that_is_a_secret_is_looked_for(tmp_path):
    """By its type, so that none is forgotten: here all there are."""
    kinds = {
        (table, name)
        for table, field in settings.Settings.model_fields.items()
        for name, inner in getattr(field.annotation, "model_fields", {}).items()
        if isinstance(inner.annotation, type) and issubclass(inner.annotation, SecretUrl)
    }
    assert {("kms", "secret_key"), ("kms", "session_token"), ("mail", "password"), ("transit", "token")} <= kinds
    rest = {"mail": 'relay = "localhost"\nsender = "a@b.example"\nuser = "u"\n'}
    toml = "".join(
        f"[{table}]\n{rest.get(table, '')}"
        + "".join(f'{name} = "postgresql://u:{WORD}{name}@h/d"\n' for at, name in sorted(kinds) if at == table)
        for table in sorted({table for table, _ in kinds})
    )
    held = hold(tmp_path, toml)
    assert {f"{table}.{name}" for table, name in kinds} <= set(held.words)
    assert held.words["password in store.jobs_url"] == f"{WORD}jobs_url"
    assert set(held.apart) == {tmp_path / "sluice.toml"}


@pytest.mark.security
def test_a_secret_may_lie_where_the_operator_has_put_it_and_nowhere_else(tmp_path):
    file, toml = tmp_path / "token", tmp_path / "sluice.toml"
    file.write_text(f"{WORD}\n")
    held = hold(tmp_path, f'[kms]\nsecret_key = {{ file = "{file}" }}\nsession_token = "{OTHER}"\n')
    assert held.words == {"kms.secret_key": WORD, "kms.session_token": OTHER}
    assert held.apart == {file: {"kms.secret_key"}, toml: {"kms.session_token"}}
    held = hold(tmp_path, "", SLUICE_KMS_SECRET_KEY=OTHER, SLUICE_TRANSIT_TOKEN_FILE=str(file))
    assert held.words == {"kms.secret_key": OTHER, "transit.token": WORD}
    assert (held.apart, held.environment) == ({file: {"transit.token"}}, {"kms.secret_key"})


def test_a_file_is_named_as_settings_name_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text(WORD)
    with pytest.raises(Invalid, match="transit.token: file must be an absolute path"):
        hold(tmp_path, '[transit]\ntoken = { file = "token" }\n')


def test_what_is_too_short_to_be_looked_for_is_said(tmp_path):
    held = hold(tmp_path, '[transit]\ntoken = "short"\n[store]\nurl = "postgresql:///nobodys"\n')
    assert held.words == {}
    assert held.missing == ["transit.token: it is so short that chance would find it"]


@pytest.mark.security
def test_swap_that_lies_in_clear_is_told(monkeypatch):
    text = "Filename Type Size\n/dev/sda2 partition 1\n/dev/dm-1 partition 1\n/dev/zram0 partition 1\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    assert installation.swap() == ["/dev/sda2"]


def test_a_line_within_a_key_is_what_is_looked_for():
    lines = [f"{letter}" * 64 for letter in "abc"]
    pem = "\n".join(["-----BEGIN PGP PRIVATE KEY BLOCK-----", "Comment: x", "", *lines, "=abcd", "-----END-----"])
    assert installation.inner(pem) == lines[1]
