"""Numbers with check digits: the examples of those who give them out, and what becomes of a digit that is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.kit.detect import numbers

GOOD = {
    numbers.is_card: ["4111 1111 1111 1111", "5555555555554444", "378282246310005", "3530111333300000", "30569309025904", "6011111111111117", "2223003122003222"],
    numbers.is_iban: ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "FR1420041010050500013M02606", "ES9121000418450200051332", "it60x0542811101000000123456", "NO9386011117947"],
    numbers.is_us_ssn: ["078-05-1120", "219-09-9999"],
    numbers.is_uk_nino: ["AB123456C", "ab 12 34 56 c"],
    numbers.is_de_tax_id: ["86095742719", "47036892816", "65929970489", "57549285017", "25768131411"],
    numbers.is_fr_nir: ["1 84 12 76 451 089 46", "2 55 08 14 168 025 38"],
    numbers.is_es_dni: ["12345678Z", "54362315K", "X2482300W", "x-5253868-r"],
    numbers.is_it_fiscal_code: ["RCCMNL83S18D969H", "MRTMTT91D08F205J"],
    numbers.is_nl_bsn: ["111222333", "123456782"],
    numbers.is_be_number: ["85.07.30-033.28", "17.07.30-033.84"],
    numbers.is_pl_pesel: ["44051401359", "02070803628"],
    numbers.is_se_number: ["880320-0016", "19811218-9876"],
    numbers.is_ch_number: ["756.9217.0769.85", "7569217076985"],
}  # fmt: skip
CASES = [(check, text) for check, texts in GOOD.items() for text in texts]
NO_DIGIT = {numbers.is_us_ssn, numbers.is_uk_nino}
"""They have no check digit."""


@pytest.mark.parametrize(("check", "text"), CASES, ids=lambda each: getattr(each, "__name__", each))
def test_a_good_number_is_known(check, text):
    assert check(text)


@pytest.mark.parametrize(("check", "text"), [each for each in CASES if each[0] not in NO_DIGIT])
def test_a_wrong_check_digit_is_seen(check, text):
    last = text[-1]
    others = "0123456789" if last.isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    wrong = [text[:-1] + each for each in others if each != last.upper()]
    assert not any(map(check, wrong))


@pytest.mark.parametrize("check", GOOD, ids=lambda each: each.__name__)
@given(text=st.text(max_size=40))
def test_any_text_is_answered(check, text):
    assert check(text) in (True, False)


@pytest.mark.parametrize(
    "text", ["4111111111111112", "4000000000000000"[:15], "9111111111111111", "0" * 16, "444444444444444 4"]
)
def test_no_cards(text):
    assert not numbers.is_card(text)


def test_every_national_number_is_tried():
    assert set(numbers.NATIONAL.values()) == set(GOOD) - {numbers.is_card, numbers.is_iban}
