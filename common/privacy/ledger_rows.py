"""A mechanism as the columns of a ledger's row, and back.

Every row has noise multiplier, rate and steps. Gaussian rows have nothing else, and their heads are what they were
before there was another kind; a row of another kind keeps its remaining constants as text.
"""

import json
from typing import Any, Final

from common.privacy.accountant import AnyMechanism, Mechanism
from common.privacy.skellam import SkellamMechanism

MECHANISM: Final = ("noise_multiplier", "sample_rate", "steps")
_SKELLAM: Final = {"share_variance": int, "shares": int, "sensitivity": float, "coordinates": int}


def columns_of(mechanism: AnyMechanism) -> tuple[Any, ...]:
    """(noise multiplier, rate, steps), and the text of the rest unless the mechanism is Gaussian.

    Guarantee: :func:`mechanism_of` gives the same mechanism back; floats as SQLite returns them.
    Refuses: nothing.
    """
    common = float(mechanism.noise_multiplier), float(mechanism.sample_rate), int(mechanism.steps)
    if isinstance(mechanism, Mechanism):
        return common
    rest = {name: kind(getattr(mechanism, name)) for name, kind in _SKELLAM.items()}
    return *common, json.dumps({"kind": "skellam", **rest})


def mechanism_of(columns: tuple[Any, ...]) -> AnyMechanism:
    """The mechanism of a row's columns.

    Guarantee: :func:`columns_of` gives the same columns back.
    Refuses: columns that say two things (ValueError) or no sound mechanism (:class:`PlanUnsound`).
    """
    noise_multiplier, sample_rate, steps, *rest = columns
    if not rest:
        return Mechanism(noise_multiplier, sample_rate, steps)
    constants = json.loads(rest[0])
    kinds = {name: type(value) for name, value in constants.items()} if isinstance(constants, dict) else {}
    if kinds != {"kind": str, **_SKELLAM} or constants.pop("kind") != "skellam":
        raise ValueError("a kind of mechanism that this version does not know")
    mechanism = SkellamMechanism(**constants, sample_rate=sample_rate, steps=steps)
    if columns_of(mechanism) != columns:
        raise ValueError("its columns contradict each other")
    return mechanism
