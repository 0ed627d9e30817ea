"""Who shares people: groups of platforms by their declared relations, and what one person's records compose to."""

from collections.abc import Iterable, Mapping, Sequence

from common.privacy.accountant import AnyMechanism, Epsilon, joint_epsilon
from scenarios.platforms.spec import ScenarioSpec

Group = tuple[str, ...]


def sharing(scenarios: Mapping[str, ScenarioSpec]) -> tuple[Group, ...]:
    """Every platform in one group: with all it shares people with, also over others, whoever declared it.

    Connected components; names keep the order of ``scenarios``, and platforms outside of it count for nothing.
    """
    group_of = {name: {name} for name in scenarios}
    for name, scenario in scenarios.items():
        for other in scenario.relations.shares_people_with:
            if other in scenarios and other not in group_of[name]:
                group_of[name] |= group_of[other]
                group_of.update(dict.fromkeys(group_of[name], group_of[name]))
    return tuple(
        dict.fromkeys(tuple(other for other in scenarios if other in group_of[name]) for name in scenarios)
    )


def dearest(
    groups: Sequence[Group], histories: Mapping[str, Iterable[AnyMechanism]], delta: float
) -> tuple[Group, Epsilon]:
    """The group whose ``histories`` compose to the largest ε for a person on all its platforms, and that ε.

    Guarantee: nobody's records on the platforms of any one group cost more.
    """
    composed = [(group, joint_epsilon([histories[name] for name in group], delta)) for group in groups]
    return max(composed, key=lambda found: found[1].prv)
