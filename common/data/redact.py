"""Personal data in texts: found, replaced by its kind, and searched for again in what was kept."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

_HIDDEN: Final = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_EMAIL: Final = re.compile(r"[\w.+%'-]+\s?@\s?[\w-]+(?:\.[\w-]+)+")
_NUMBER: Final = re.compile(r"(?<![\w.])[+(]?\d(?:[ ./()–-]{0,2}\d){6,18}[Xx]?(?!\w)")
_SOCIAL: Final = re.compile(r"\d{3}-\d{2}-\d{4}")
_NATIONAL: Final = re.compile(r"\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}|\(?0\d{1,4}\)?[ ./-]?\d[\d ./-]{5,12}\d")
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def redact(text: str) -> tuple[str, Counter[str]]:
    """``text`` with every email, phone, card and identity number replaced, and how many of each there were.

    Compatibility forms are made plain first (NFKC: full-width digits and letters) and invisible characters
    dropped, so that neither hides a number. A number that is none of the four kinds, such as a bar code,
    stays.
    """
    found: Counter[str] = Counter()
    plain = unicodedata.normalize("NFKC", text).translate(_HIDDEN)
    plain = _EMAIL.sub(_replacement("email", found), plain)
    return _NUMBER.sub(lambda match: _number(match[0], found), plain), found


def scan(texts: Iterable[str]) -> Counter[str]:
    """How much personal data of each kind is left in ``texts``; empty where redaction did its work."""
    left: Counter[str] = Counter()
    for text in texts:
        left.update(redact(text)[1])
    return left


def _replacement(kind: str, found: Counter[str]) -> Callable[[re.Match[str]], str]:
    def replace(_: re.Match[str]) -> str:
        found[kind] += 1
        return f"[{kind}]"

    return replace


def _number(written: str, found: Counter[str]) -> str:
    kind = kind_of_number(written)
    if kind is None:
        return written
    found[kind] += 1
    return f"[{kind}]"


def kind_of_number(written: str) -> str | None:
    """``id``, ``card`` or ``phone``, or ``None`` for any other number."""
    digits = re.sub(r"[^\dX]", "", written.upper())
    if _SOCIAL.fullmatch(written) or is_resident_id(digits):
        return "id"
    if is_card(digits):
        return "card"
    international = written.startswith("+") and 8 <= len(digits) <= 15
    mobile = re.fullmatch(r"(?:86)?1[3-9]\d{9}", digits)
    return "phone" if international or mobile or _NATIONAL.fullmatch(written) else None


def is_card(digits: str) -> bool:
    """A payment card's number: 13 to 19 digits that begin like one and pass Luhn's check (ISO/IEC 7812)."""
    if not (digits.isdigit() and 13 <= len(digits) <= 19 and digits[0] in "23456"):
        return False
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def is_resident_id(digits: str) -> bool:
    """A Chinese resident identity number (GB 11643): 17 digits and a check character (ISO 7064 MOD 11-2)."""
    if not re.fullmatch(r"\d{17}[\dX]", digits):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=False))
    return digits[17] == "10X98765432"[total % 11]
