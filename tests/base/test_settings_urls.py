from __future__ import annotations

import pytest

from sluicegate.base.errors import Invalid
from sluicegate.base.settings import describe, load
from tests.fixtures.home import sluice

URL = "postgresql://app:canary-hunter2@db.example/store"


def test_an_address_comes_from_a_file_that_a_variable_names(tmp_path):
    (tmp_path / "url").write_text(URL)
    found = load({"SLUICE_HOME": str(tmp_path), "SLUICE_STORE_URL_FILE": str(tmp_path / "url")})
    assert found.store_url == URL
    assert found.jobs_url == f"sqlite:///{tmp_path}/jobs.db"
    with pytest.raises(Invalid, match="unknown setting"):
        load({"SLUICE_HOME": str(tmp_path), "SLUICE_SERVER_PORT_FILE": "/x"})


def test_files_and_variables_may_be_mixed(tmp_path):
    (tmp_path / "sluice.toml").write_text(f'[store]\njobs_url = "{URL}"\n[tls]\nweakest = "require"\n')
    found = load({"SLUICE_HOME": str(tmp_path), "SLUICE_TLS_WEAKEST": "verify-ca"})
    assert (found.jobs_url, found.tls.weakest) == (URL, "verify-ca")


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_no_setting_is_listed_with_a_password(tmp_path):
    names = ("SLUICE_STORE_URL", "SLUICE_STORE_OWNER_URL", "SLUICE_STORE_JOBS_URL")
    assert sum("_url" in name or name == "store.url" for name, _, _ in describe()) == len(names)
    (tmp_path / "sluice.toml").write_text(
        "".join(["[store]\n", *(f'{each.removeprefix("SLUICE_STORE_").lower()} = "{URL}"\n' for each in names)])
    )
    for words in (("settings",), ("settings", "--json")):
        done = sluice(tmp_path, *words, expect=None)
        assert done.returncode == 0
        assert "canary" not in done.stdout + done.stderr
        assert done.stdout.count("@db.example/store") == len(names)


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_a_refused_setting_is_not_shown(tmp_path):
    (tmp_path / "sluice.toml").write_text('[store]\nurl = ["canary-hunter2"]\n')
    done = sluice(tmp_path, "settings", expect=None)
    assert done.returncode == 2
    assert "store.url" in done.stdout + done.stderr
    assert "canary" not in done.stdout + done.stderr
