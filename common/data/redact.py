"""Personal data in texts: found, replaced by its kind, and searched for again in what was kept."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

_HIDDEN: Final = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_EMAIL: Final = re.compile(r"[\w.+%'-]+ ?@ ?[\w-]+(?:\.[\w-]+)+")
_RUN: Final = re.compile(r"[+(]{0,2}\d+(?:[ ./()\u2010-\u2015-]{1,2}\d+)*[Xx]?")
_GROUP: Final = re.compile(r"[+(]{0,2}\d+[Xx]?")
_SOCIAL: Final = re.compile(r"\d{3}-\d{2}-\d{4}")
_AMERICAN: Final = re.compile(r"\(?\d{3}\)?[ .\u2010-\u2015-]{1,2}\d{3}[ .\u2010-\u2015-]\d{4}")
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def redact(text: str) -> tuple[str, Counter[str]]:
    """``text`` with every email, phone, card and identity number replaced, and how many of each there were.

    Compatibility forms are made plain first (NFKC: full-width digits and letters) and invisible characters
    dropped, so that neither hides a number. A number that is none of the four kinds, such as a bar code,
    stays.
    """
    found: Counter[str] = Counter()

    def name(kind: str) -> str:
        found[kind] += 1
        return f"[{kind}]"

    plain = _EMAIL.sub(lambda _: name("email"), _plain(text))
    return _RUN.sub(lambda run: _without_numbers(run[0], name), plain), found


def scan(texts: Iterable[str]) -> Counter[str]:
    """How much personal data of each kind is left in ``texts``; empty where redaction did its work.

    Looks harder than :func:`redact`: at every stretch of every run of digits, and at every @ before a domain.
    """
    left: Counter[str] = Counter()
    for text in map(_plain, texts):
        left["email"] += len(re.findall(r"[\w.+%'-] ?@ ?[\w-]+\.[\w-]", text))
        for run in _RUN.findall(text):
            groups = list(_GROUP.finditer(run))
            for first, group in enumerate(groups):
                left.update(
                    filter(None, (kind_of_number(run[group.start() : last.end()]) for last in groups[first:]))
                )
    return +left


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_HIDDEN)


def _without_numbers(run: str, name: Callable[[str], str]) -> str:
    """A run of digit groups, its personal numbers named, longest first: a date may follow a card's."""
    groups = list(_GROUP.finditer(run))
    for first, group in enumerate(groups):
        for last in reversed(groups[first:]):
            if kind := kind_of_number(run[group.start() : last.end()]):
                return run[: group.start()] + name(kind) + _without_numbers(run[last.end() :], name)
    return run


def kind_of_number(written: str) -> str | None:
    """``id``, ``card`` or ``phone``, or ``None`` for any other number."""
    digits = re.sub(r"[^\dX]", "", written.upper())
    if _SOCIAL.fullmatch(written) or is_resident_id(digits):
        return "id"
    if is_card(digits):
        return "card"
    international = "+" in written[:2] and 8 <= len(digits) <= 15
    chinese = re.fullmatch(r"(?:86)?1[3-9]\d{9}", digits)
    trunk = len(written) > len(digits) and re.fullmatch(r"0[1-9]\d{8,9}", digits)
    return "phone" if international or chinese or trunk or _AMERICAN.fullmatch(written) else None


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
