import pytest

from sluicegate.base.errors import Invalid
from sluicegate.base.secret import Secret
from sluicegate.crypto.seal.openpgp import check_certificate, check_key, new_key

KEY, CERT = new_key("a <a@example.org>")


def test_a_pair_is_taken_and_has_a_fingerprint():
    assert len(check_certificate(CERT)) == 40
    assert check_certificate(f"\n{CERT}\n") == check_certificate(CERT)
    check_key(KEY)


@pytest.mark.security
@pytest.mark.parametrize(
    "text",
    ["", "age1abc", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nnonsense\n", CERT[:300], CERT + CERT],
    ids=["nothing", "age", "nonsense", "cut", "two"],
)
def test_what_is_no_certificate_is_refused(text):
    with pytest.raises(Invalid):
        check_certificate(text)


@pytest.mark.security
def test_a_secret_key_given_as_a_certificate_is_refused_and_not_shown():
    with pytest.raises(Invalid, match="secret key") as told:
        check_certificate(KEY.reveal())
    assert KEY.reveal()[100:140] not in f"{told.value} {told.value.problem()}"


@pytest.mark.security
@pytest.mark.parametrize(
    "text", ["", CERT, "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nCANARY\n"], ids=["nothing", "certificate", "cut off"]
)
def test_what_is_no_key_is_refused_and_not_shown(text):
    with pytest.raises(Invalid) as told:
        check_key(Secret(text))
    assert "CANARY" not in str(told.value)
    assert told.value.__cause__ is None


@pytest.mark.security
def test_a_revoked_certificate_is_refused():
    import pysequoia

    key = pysequoia.Tsk.from_bytes(KEY.reveal().encode())
    cert = key.extract_certificate()
    revoked = pysequoia.Cert.from_bytes(bytes(cert) + bytes(cert.revoke(key.certifier())))
    with pytest.raises(Invalid, match="revoked"):
        check_certificate(str(revoked))
