"""Settings of the seals: what does not fit is refused, and no secret is shown."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Invalid
from sluicegate.base.settings import load


def settings(tmp_path, **variables):
    return load({"SLUICE_HOME": str(tmp_path), **variables})


@pytest.mark.security
@pytest.mark.parametrize(
    "variables",
    [
        {"SLUICE_VAULT_SEAL": "none"}, {"SLUICE_SHAMIR_SHARES": "2"}, {"SLUICE_SHAMIR_THRESHOLD": "1"},
        {"SLUICE_SHAMIR_THRESHOLD": "6"}, {"SLUICE_PASSPHRASE_MEMORY": "19455"}, {"SLUICE_PASSPHRASE_ROUNDS": "1"},
        {"SLUICE_TRANSIT_URL": "http://bao.example"}, {"SLUICE_TRANSIT_URL": "https://u:p@bao.example"},
        {"SLUICE_TRANSIT_URL": "https://bao.example/v1"}, {"SLUICE_TRANSIT_MOUNT": "../sys"},
        {"SLUICE_TRANSIT_KEY": "a/b"}, {"SLUICE_KMS_ENDPOINT": "http://kms.example"}, {"SLUICE_KMS_REGION": "a/b"},
        {"SLUICE_KMS_WHATEVER": "x"},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path, variables):
    with pytest.raises(Invalid):
        settings(tmp_path, **variables)


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_a_token_comes_from_a_file_and_is_not_shown(tmp_path):
    file = tmp_path / "token"
    file.write_text("canary-token\n")
    found = settings(tmp_path, SLUICE_TRANSIT_TOKEN_FILE=str(file), SLUICE_KMS_SECRET_KEY="canary-key")
    assert found.transit.token.reveal() == "canary-token"
    assert "canary" not in f"{found!r} {found.model_dump_json()} {found.transit} {found.kms}"


def test_an_installation_has_the_seal_that_it_has_unless_one_is_named(tmp_path):
    assert settings(tmp_path).vault.seal is None
    assert settings(tmp_path, SLUICE_VAULT_SEAL="aws-kms").vault.seal == "aws-kms"
