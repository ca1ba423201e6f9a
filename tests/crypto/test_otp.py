"""Codes of an app (RFC 6238) and recovery codes."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.base.secret import Secret
from sluicegate.crypto import otp

SEED = Secret(base64.b32encode(b"12345678901234567890").decode())  # the one of RFC 6238, appendix B


@pytest.mark.security
@pytest.mark.req("SEC-A09")
@pytest.mark.parametrize(
    ("now", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_the_vectors_of_the_rfc(now, code):
    assert otp.match(SEED, Secret(code), now) == now // 30


@pytest.mark.security
@pytest.mark.req("SEC-A09")
def test_a_code_counts_one_step_before_and_after_and_no_longer():
    code, step = Secret("287082"), 59 // 30
    for away in range(-3, 4):
        found = otp.match(SEED, code, (step + away) * 30 + 5 + 30 * 0) if step + away > 0 else None
        assert (found == step) == (abs(away) <= 1 and step + away > 0), away


@pytest.mark.security
@pytest.mark.req("SEC-A09")
@given(st.text(max_size=20).filter(lambda text: "".join(text.split()) not in {"287082", "755224", "359152"}))
def test_nothing_else_is_a_code(text):
    assert otp.match(SEED, Secret(text), 59) is None


def test_blanks_in_a_code_do_not_matter():
    assert otp.match(SEED, Secret(" 287 082\n"), 59) == 1


@pytest.mark.security
@pytest.mark.req("SEC-A10")
def test_recovery_codes_are_long_different_and_forgiving():
    codes = [each.reveal() for each in otp.new_codes()]
    assert len(set(codes)) == len(codes) == 10
    for code in codes:
        letters = code.replace("-", "")
        assert len(letters) * 5 >= 112, "bits"
        for typed in (code.upper(), letters, f" {code} ", code.replace("0", "o").replace("1", "l")):
            assert otp.normal(Secret(typed)).reveal() == code


@pytest.mark.security
def test_a_seed_is_160_bits_and_an_app_reads_it():
    seeds = {otp.new_seed().reveal() for _ in range(100)}
    assert len(seeds) == 100
    assert {len(base64.b32decode(each)) for each in seeds} == {20}
    assert otp.uri(SEED, "ü@b.c", "Sluicegate").startswith("otpauth://totp/Sluicegate:%C3%BC%40b.c?secret=")
