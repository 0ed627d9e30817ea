"""What pydantic finds wrong with a value, in the words of somebody who writes TOML."""

from collections.abc import Callable, Mapping
from typing import Any, Final

Said = Mapping[str, Any]

_FIXED: Final = {
    "extra_forbidden": "unknown key",
    "model_type": "should be a table",
    "model_attributes_type": "should be a table",
    "dict_type": "should be a table",
    "string_type": "should be text in quotes",
    "path_type": "should be a path in quotes",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "finite_number": "should be a finite number",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "datetime_type": "should be a date or a time, such as 2024-01-01",
    "datetime_parsing": "should be a date or a time, such as 2024-01-01",
    "datetime_from_date_parsing": "should be a date or a time, such as 2024-01-01",
}
_BOUND: Final[Mapping[str, Callable[[Said], str]]] = {
    "greater_than": lambda bound: f"should be above {bound['gt']:g}",
    "greater_than_equal": lambda bound: f"should be at least {bound['ge']:g}",
    "less_than": lambda bound: f"should be below {bound['lt']:g}",
    "less_than_equal": lambda bound: f"should be at most {bound['le']:g}",
    "literal_error": lambda bound: f"should be {bound['expected']}".replace("'", '"'),
    "too_short": lambda bound: f"should have {bound['min_length']} or more entries",
    "too_long": lambda bound: f"should have {bound['max_length']} entries or fewer",
    "string_too_short": lambda bound: f"should have {bound['min_length']} or more characters",
    "string_too_long": lambda bound: f"should have {bound['max_length']} characters or fewer",
    "string_pattern_mismatch": lambda bound: f"should match {bound['pattern']}",
}


def in_words(error: Said) -> str:
    """One of ``ValidationError.errors()``, as what follows the key; the value itself is never quoted."""
    kind = error["type"]
    if kind == "missing":
        return "missing key" if isinstance(error["loc"][-1], str) else "an entry is missing"
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in _BOUND:
        return _BOUND[kind](error["ctx"])
    said = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return str(said[:1].lower() + said[1:])
