"""The strict suite S2: A256CBC-HS512 as published, and the same promises as S1's."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.padding import PKCS7
from hypothesis import assume, given
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt
from sluicegate.crypto.envelope import S1, S2, SUITES, CbcHmac, decrypt, encrypt, unwrap, wrap
from sluicegate.crypto.keys import Key

KEY, OTHER = Key(bytes(range(64))), Key(bytes(range(1, 65)))
AAD = ["tenant-1", "record-1", "password", "1"]
aads = st.lists(st.one_of(st.text(max_size=12), st.binary(max_size=12)), max_size=5)

# RFC 7518, appendix B.3.
PLAIN = (
    b"A cipher system must not be required to be secret, and it must be able to fall into the hands of the enemy "
    b"without inconvenience"
)
IV, TOLD = bytes.fromhex("1af38c2dc2b96ffdd86694092341bc04"), b"The second principle of Auguste Kerckhoffs"
SEALED = bytes.fromhex(
    "4affaaadb78c31c5da4b1b590d10ffbd3dd8d5d302423526912da037ecbcc7bd822c301dd67c373bccb584ad3e9279c2e6d12a1374b77f077553"
    "df829410446b36ebd97066296ae6427ea75c2e0846a11a09ccf5370dc80bfecbad28c73f09b3a3b75e662a2594410ae496b2e2e6609e31e6e02c"
    "c837f053d21f37ff4f51950bbe2638d09dd7a4930930806d0703b1f64dd3b4c088a7f45c216839645b2012bf2e6269a8c56a816dbc1b26776195"
    "5bc5"
)


@pytest.mark.security
@pytest.mark.req("SEC-V15")
def test_the_cipher_gives_the_published_answer():
    assert CbcHmac().encrypt(KEY.raw, PLAIN, TOLD, IV) == IV + SEALED


@pytest.mark.security
@pytest.mark.req("SEC-V15")
@given(st.binary(max_size=100), aads)
def test_a_blob_is_what_the_page_says(plaintext, aad):
    """Opened by hand: suite byte, random, iv, ciphertext, tag over length-prefixed parts, the data and their length."""
    blob = encrypt(KEY, plaintext, aad, S2)
    parts = [b"\x02", b"sluicegate value", b"=" + blob[1:17]]
    parts += [b"=" + (each.encode() if isinstance(each, str) else each) for each in aad]
    listed = b"".join(len(each).to_bytes(8, "big") + each for each in parts)
    iv, ciphertext, tag = blob[17:33], blob[33:-32], blob[-32:]
    mac = HMAC(KEY.raw[:32], SHA512())
    mac.update(listed + iv + ciphertext + (len(listed) * 8).to_bytes(8, "big"))
    assert mac.finalize()[:32] == tag
    opener, unpad = Cipher(algorithms.AES256(KEY.raw[32:]), modes.CBC(iv)).decryptor(), PKCS7(128).unpadder()
    assert unpad.update(opener.update(ciphertext) + opener.finalize()) + unpad.finalize() == plaintext
    assert decrypt(KEY, blob, aad) == plaintext


@pytest.mark.security
@pytest.mark.req("SEC-V03", "SEC-V13")
@given(aads, aads, st.sampled_from([S1, S2]))
def test_other_parts_never_open_whichever_the_suite(aad, other, suite):
    def octets(parts):
        return [each.encode() if isinstance(each, str) else each for each in parts]

    assert unwrap(KEY, wrap(KEY, OTHER, aad, suite), aad).raw == OTHER.raw
    assume(octets(aad) != octets(other))
    with pytest.raises(Corrupt):
        decrypt(KEY, encrypt(KEY, b"x", aad, suite), other)
    with pytest.raises(Corrupt):
        unwrap(KEY, wrap(KEY, OTHER, aad, suite), other)


@pytest.mark.security
@pytest.mark.req("SEC-V11")
@given(st.data())
def test_a_changed_bit_cut_or_suite_gives_the_one_error(data):
    blob = encrypt(KEY, b"hunter2", AAD, S2)
    place = data.draw(st.integers(0, len(blob) * 8 - 1))
    flipped = bytearray(blob)
    flipped[place // 8] ^= 1 << place % 8
    cut = blob[: data.draw(st.integers(0, len(blob) - 1))]
    for bad in (
        bytes(flipped),
        cut,
        blob + b"\0",
        bytes([S1]) + blob[1:],
        b"\x03" + blob[1:],
        wrap(KEY, OTHER, AAD, S2),
    ):
        with pytest.raises(Corrupt, match="Stored data does not verify"):
            decrypt(KEY, bad, AAD)


@pytest.mark.security
@pytest.mark.req("SEC-V10")
def test_equal_plaintexts_and_keys_never_look_equal():
    assert len({encrypt(KEY, b"hunter2", AAD, S2)[17:] for _ in range(5_000)}) == 5_000
    assert len({wrap(KEY, OTHER, AAD, S2) for _ in range(5_000)}) == 5_000


@pytest.mark.security
@pytest.mark.req("SEC-V13")
def test_each_suite_has_its_own_byte():
    assert {encrypt(KEY, b"x", AAD, each)[0] for each in SUITES} == set(SUITES) == {S1, S2}
