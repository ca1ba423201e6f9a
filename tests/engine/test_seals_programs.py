"""Archives open without us, and we open those of programs that we did not write (SEC-F01)."""

import io
import os
import shutil
import subprocess

import pytest

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.secret import Secret
from sluicegate.engine.seals import Keys, open_, seal
from sluicegate.kit.seals import OpenOpenPgp, OpenPgp
from tests.fixtures.seals import KEY, opened, pair, sealed

ROWS = b"id,name\n" + b"".join(b"%d,row %d\n" % (each, each) for each in range(20_000))
PHRASE = pair("zip").keys.secrets["key"].reveal()
pytestmark = [pytest.mark.security, pytest.mark.req("SEC-F01"), pytest.mark.slow]


def run(*words, **more):
    assert shutil.which(words[0]), f"{words[0]} is missing: python3 tools/install.py test"
    return subprocess.run(words, capture_output=True, check=True, timeout=60, **more).stdout


# -- ZIP ---------------------------------------------------------------------------------------------------------------


def test_7z_and_libarchive_open_our_zip_and_not_without_the_passphrase(tmp_path):
    (tmp_path / "a.zip").write_bytes(sealed("zip", ROWS))
    assert run("7z", "x", "-so", f"-p{PHRASE}", tmp_path / "a.zip") == ROWS
    assert run("bsdtar", "-xOf", tmp_path / "a.zip", "--passphrase", PHRASE) == ROWS
    listed = run("7z", "l", "-slt", tmp_path / "a.zip").decode()
    assert "Path = rows.csv" in listed, "names can be read"
    assert "AES-256" in listed
    with pytest.raises(subprocess.CalledProcessError):
        run("7z", "x", "-so", "-pwrong", tmp_path / "a.zip")


@pytest.mark.parametrize("method", ["Deflate", "Copy"])
def test_we_open_the_zip_of_7z(tmp_path, method):
    (tmp_path / "rows.csv").write_bytes(ROWS)
    run("7z", "a", "-tzip", "-mem=AES256", f"-mm={method}", f"-p{PHRASE}", tmp_path / "a.zip", tmp_path / "rows.csv")
    blob = (tmp_path / "a.zip").read_bytes()
    assert opened("zip", blob) == ROWS
    with pytest.raises(Corrupt):
        opened("zip", blob, pair("zip").strange)
    with pytest.raises(Corrupt):
        opened("zip", blob[:200] + bytes([blob[200] ^ 1]) + blob[201:])


def test_we_open_the_zip_of_libarchive(tmp_path):
    (tmp_path / "rows.csv").write_bytes(ROWS)
    run(
        "bsdtar", "-acf", tmp_path / "a.zip", "--options", "zip:encryption=aes256", "--passphrase", PHRASE,
        "-C", tmp_path, "rows.csv",
    )  # fmt: skip
    assert opened("zip", (tmp_path / "a.zip").read_bytes()) == ROWS


def test_a_zip_that_is_not_encrypted_or_by_the_old_cipher_is_refused(tmp_path):
    (tmp_path / "rows.csv").write_bytes(ROWS)
    run("7z", "a", "-tzip", tmp_path / "plain.zip", tmp_path / "rows.csv")
    run("7z", "a", "-tzip", "-mem=ZipCrypto", f"-p{PHRASE}", tmp_path / "old.zip", tmp_path / "rows.csv")
    for name in ("plain.zip", "old.zip"):
        with pytest.raises(Corrupt):
            opened("zip", (tmp_path / name).read_bytes())


# -- OpenPGP -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["ed25519/cv25519", "rsa3072/rsa3072"])
def gpg(request, tmp_path_factory):
    """A keyring of gpg with a key of its own: how to call gpg, its certificate, its secret key."""
    home = tmp_path_factory.mktemp("g", numbered=True)
    home.chmod(0o700)

    def call(*words, **more):
        return run("gpg", "--homedir", str(home), "--batch", "--quiet", "--trust-model", "always", *words, **more)

    sign, encrypt = request.param.split("/")
    user = "partner <partner@example.org>"
    call("--passphrase", "", "--quick-gen-key", user, sign, "sign", "never")
    print_ = next(
        line.split(":")[9] for line in call("--list-keys", "--with-colons").decode().splitlines() if line[:3] == "fpr"
    )
    call("--passphrase", "", "--quick-add-key", print_, encrypt, "encr", "never")
    yield call, call("--armor", "--export").decode(), Secret(call("--armor", "--export-secret-keys").decode())
    run("gpgconf", "--homedir", str(home), "--kill", "all")


def test_gpg_opens_ours_and_knows_who_signed_it(gpg):
    call, cert, _ = gpg
    ours = pair("openpgp").keys
    call("--import", input=ours.recipients["dpo"].encode())
    out = io.BytesIO()
    keys = Keys({"partner": cert}, ours.secrets)
    with seal(OpenPgp(type="openpgp", to=("partner",), sign=KEY), "rows.csv", keys, out) as writer:
        writer.write(ROWS)
    assert call("--decrypt", input=out.getvalue()) == ROWS
    told = call("--status-fd", "1", "--output", os.devnull, "--yes", "--decrypt", input=out.getvalue()).decode(
        errors="replace"
    )
    assert "GOODSIG" in told
    assert "DECRYPTION_OKAY" in told
    with pytest.raises(subprocess.CalledProcessError):
        call("--decrypt", input=out.getvalue()[:-40])


@pytest.mark.parametrize("armor", [(), ("--armor",)])
def test_we_open_what_gpg_sealed_and_signed(gpg, armor):
    call, cert, _ = gpg
    ours = pair("openpgp").keys
    call("--import", input=ours.recipients["dpo"].encode())
    words = (*armor, "--encrypt", "--sign", "--recipient", "a@example.org")
    made = call(*words, "--compress-algo", "none", input=ROWS)
    keys = Keys({"partner": cert, "dpo": ours.recipients["dpo"]}, ours.secrets)
    back = OpenOpenPgp(type="openpgp", identity=KEY, signed_by=("partner",))
    assert opened("openpgp", made, keys, back) == ROWS
    with pytest.raises(Corrupt):
        opened("openpgp", made, keys, back.model_copy(update={"signed_by": ("dpo",)}))
    with pytest.raises(Corrupt):
        opened("openpgp", made[: len(made) - 60], keys, back)
    packed = call(*words, input=ROWS)
    with pytest.raises(Invalid, match="compressed under its encryption"):
        opened("openpgp", packed, keys, back)
    assert opened("openpgp", packed, keys, back.model_copy(update={"signed_by": ()})) == ROWS


def test_a_key_of_gpg_signs_and_opens_here(gpg):
    _, cert, key = gpg
    keys = Keys({"partner": cert}, {"key": key})
    out = io.BytesIO()
    with seal(OpenPgp(type="openpgp", to=("partner",), sign=KEY), "x", keys, out) as writer:
        writer.write(ROWS)
    back = OpenOpenPgp(type="openpgp", identity=KEY, signed_by=("partner",))
    with open_(back, keys, io.BytesIO(out.getvalue()), 1 << 30, seeks=False) as reader:
        assert reader.read() == ROWS
