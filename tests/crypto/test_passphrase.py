import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.base.errors import Invalid
from sluicegate.base.secret import Secret
from sluicegate.crypto.passphrase import BITS, new_passphrase, require_strong, strength


def test_made_ones_are_strong_and_never_the_same():
    made = [new_passphrase() for _ in range(200)]
    assert len({each.reveal() for each in made}) == 200
    for each in made:
        require_strong(each)


@pytest.mark.security
@pytest.mark.req("SEC-F03")
@pytest.mark.parametrize(
    "text",
    [
        "", "hunter2", "Tr0ub4dor&3", "password" * 20, "0" * 200, "abc1" * 30, "correct horse battery staple",
        "correct horse battery staple zebra apple", "k3J9xQ2mZ7vB4nL8p", "PASSWORDpassword1!" * 4, "é" * 100,
    ],
)  # fmt: skip
def test_weak_ones_are_refused_and_not_shown(text):
    with pytest.raises(Invalid, match="too weak") as told:
        require_strong(Secret(text))
    assert not text or text not in f"{told.value} {told.value.problem()}"


def test_strong_ones_of_others_are_taken():
    for text in ("k3J9xQ2mZ7vB4nL8pR6tW1yC5dF0gH", "d2f1c0ab9e8877665544332211f0e9d8c7b6a594"):
        require_strong(Secret(text))


@pytest.mark.security
@given(st.text(max_size=60))
def test_nothing_has_more_bits_than_its_letters_allow(text):
    assert strength(Secret(text)) <= len(text) * 7
    assert strength(Secret(text)) < BITS or len(text) >= BITS / 7
