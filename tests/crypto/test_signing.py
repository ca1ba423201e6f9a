"""Signatures: those of RFC 8032, and nothing but what was signed verifies."""

from __future__ import annotations

import base64
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.crypto.keys import Key, new_key
from sluicegate.crypto.signing import Signer, verify


@pytest.mark.security
@pytest.mark.req("SEC-V15")
def test_the_published_answer():
    """RFC 8032 §7.1, test 2."""
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert base64.b64decode(Signer(Key(seed + bytes(range(32)))).sign(b"r")) == signature


@pytest.mark.security
@given(st.binary(max_size=100), st.binary(max_size=100))
def test_only_what_was_signed_verifies(text, other):
    signer = Signer(new_key())
    signature = signer.sign(text)
    assert verify(signer.public, text, signature)
    assert verify(signer.public, other, signature) == (other == text)
    assert not verify(Signer(new_key()).public, text, signature)


@pytest.mark.security
@pytest.mark.parametrize("bad", ["", "!", "AAAA", "é"])
def test_what_is_no_signature_or_key_does_not_verify(bad):
    signer = Signer(new_key())
    assert not verify(signer.public, b"x", bad)
    assert not verify(bad, b"x", signer.sign(b"x"))


def test_others_can_check_it(tmp_path):
    signer = Signer(new_key())
    for name, raw in (
        ("key.pem", signer.public.encode()),
        ("text", b"told"),
        ("sig", base64.b64decode(signer.sign(b"told"))),
    ):
        (tmp_path / name).write_bytes(raw)
    words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "text", "-sigfile", "sig"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Signature Verified Successfully" in done.stdout, done.stderr
