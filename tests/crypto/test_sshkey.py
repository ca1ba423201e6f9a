from __future__ import annotations

import subprocess

import pytest

from sluicegate.base.errors import Failed
from sluicegate.base.secret import Secret
from sluicegate.crypto.sshkey import unlock

CANARY = "canary-phrase"


def made(folder, *words, phrase=""):
    file = folder / "key"
    subprocess.run(["ssh-keygen", "-q", *words, "-N", phrase, "-f", file], check=True, stdin=subprocess.DEVNULL)
    return Secret(file.read_text())


@pytest.mark.parametrize("comment", ["", "a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg"])
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_whatever_its_length_the_client_reads_it(tmp_path, kind, comment):
    """paramiko takes an OpenSSH key of which nothing is padding for an empty one."""
    import io

    import paramiko

    found, pem = unlock(made(tmp_path, "-t", kind, "-C", comment))
    assert found == kind
    reader = {"ed25519": paramiko.Ed25519Key, "ecdsa": paramiko.ECDSAKey}[kind]
    public = (tmp_path / "key.pub").read_text().split()[1]
    assert reader.from_private_key(io.StringIO(pem.reveal())).get_base64() == public


@pytest.mark.security
@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
def test_each_form_is_opened_by_its_passphrase_alone(tmp_path, form):
    key = made(tmp_path, "-t", "ecdsa", "-m", form, phrase=CANARY)
    assert unlock(key, Secret(CANARY))[0] == "ecdsa"
    for phrase, told in ((None, "has a passphrase"), (Secret("canary-wrong"), "passphrase is not its own")):
        with pytest.raises(Failed, match=told) as refused:
            unlock(key, phrase)
        assert "canary" not in f"{refused.value!r} {refused.value}"


@pytest.mark.security
def test_what_is_no_key_or_a_weak_one_is_refused(tmp_path):
    with pytest.raises(Failed, match="2048 bits"):
        unlock(made(tmp_path, "-t", "rsa", "-b", "1024"))
    for text in (
        "",
        "canary",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----",
        "\ud800",
    ):
        with pytest.raises(Failed, match="cannot be read") as refused:
            unlock(Secret(text))
        assert "canary" not in str(refused.value)
