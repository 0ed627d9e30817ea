"""Redaction: what it must find, what it must leave, and that a second look finds nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.data.redact import is_card, is_resident_id, redact, scan

# Documented test numbers: card networks' sandbox, NANP's fictitious 555-01xx, Ofcom's drama numbers.
PERSONAL = [
    ("write to jane.doe+news@mail.example.org", "write to [email]"),
    ("jane＠example．org", "[email]"),
    ("call (212) 555-0147 now", "call [phone] now"),
    ("212-555-0147", "[phone]"),
    ("212\u2011555\u20110147", "[phone]"),
    ("+44 20 7946 0958", "[phone]"),
    ("020 7946 0958", "[phone]"),
    ("13800138000", "[phone]"),
    ("138\u200b0013\u200b8000", "[phone]"),
    ("card 4111 1111 1111 1111 exp", "card [card] exp"),
    ("4111-1111-1111-1111", "[card]"),
    ("378282246310005", "[card]"),
    ("4111 1111 1111 1111 12/27 123", "[card] 12/27 123"),
    ("12 4111111111111111", "12 [card]"),
    ("No4111111111111111", "No[card]"),
    ("４１１１１１１１１１１１１１１１", "[card]"),
    ("id 11010519491231002X", "id [id]"),
    ("078-05-1120", "[id]"),
]
HARMLESS = [
    "beef, ground patty chuck, 3 pound",
    "bar code 9780306406157",
    "2001: A Space Odyssey (1968)",
    "frozen meals, 90 ounce, 12/12 ounce, 6 pack 11.2 ounce",
    "1984 1999 2010",
    "bath 2 @ home",
    "4111 1111 1111 1112",
    "12.345678901",
    "best before 01/02/2031",
    "2031-02-01 12:30",
    "0.5 or 12.25 or 0.75 litre",
]


@pytest.mark.parametrize(("text", "kept"), PERSONAL)
def test_personal_data_is_replaced_by_its_kind(text: str, kept: str) -> None:
    assert redact(text)[0] == kept
    assert redact(text)[1].total() == 1
    assert scan([text])


@pytest.mark.parametrize("text", HARMLESS)
def test_other_numbers_stay(text: str) -> None:
    assert redact(text) == (text, {})


@given(st.lists(st.sampled_from([*(text for text, _ in PERSONAL), *HARMLESS, "and", "12"]), max_size=6))
def test_a_second_look_finds_nothing(parts: list[str]) -> None:
    for joint in (" ", ", ", " / "):
        assert scan([redact(joint.join(parts))[0]]) == {}


@given(st.text(st.sampled_from("0123456789 -+().@xX\u200ba"), max_size=40))
def test_a_second_look_finds_nothing_in_noise(text: str) -> None:
    assert scan([redact(text)[0]]) == {}


def test_check_digits() -> None:
    assert is_card("4111111111111111")
    assert not is_card("4111111111111112")
    assert is_resident_id("11010519491231002X")
    assert not is_resident_id("110105194912310021")
