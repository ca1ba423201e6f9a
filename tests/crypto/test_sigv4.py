"""AWS's signature, by the vectors of its own test suite (aws-sig-v4-test-suite: get-vanilla, post-vanilla, …)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sluicegate.base.secret import Secret
from sluicegate.crypto.sigv4 import Signer

AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
VECTORS = {
    ("GET", ()): "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ("POST", ()): "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ("POST", (("my-header1", "value1"),)): "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
}


@pytest.fixture
def signer():
    return Signer("AKIDEXAMPLE", Secret(SECRET), "us-east-1", "service")


@pytest.mark.security
@pytest.mark.req("SEC-V15")
@pytest.mark.parametrize(("method", "more"), VECTORS)
def test_the_vectors_of_aws(signer, method, more):
    signed = signer.sign(method, "/", {"host": "example.amazonaws.com", **dict(more)}, b"", AT)
    assert signed["authorization"].endswith(f"Signature={VECTORS[method, more]}")
    assert signed["x-amz-date"] == "20150830T123600Z"


@pytest.mark.security
def test_all_of_a_request_is_signed_and_the_secret_is_not_in_it(signer):
    base = ("POST", "/", {"host": "a.example", "x-amz-target": "t"}, b"{}", AT)
    others = [
        ("PUT", *base[1:]), (base[0], "/x", *base[2:]), (*base[:2], {"host": "b.example", "x-amz-target": "t"}, *base[3:]),
        (*base[:3], b"[]", AT), (*base[:4], AT + 1),
    ]  # fmt: skip
    made = [signer.sign(*each)["authorization"] for each in (base, *others)]
    assert len({each.rpartition("=")[2] for each in made}) == 6
    assert not any(SECRET in each for each in made)
