"""Every strategy of a coordinator with c colluders against up to five platforms, with ideal cryptography.

For each honest platform apart the coordinator chooses whose envelopes it gets (U2), and which survivor set it is
asked to sign (U3) or that it is asked nothing more; colluders sign and hand over everything. It succeeds if it
isolates the sum of fewer honest platforms than the charter promises. Different *adverts* for different platforms
need no exploring: every key hashes them (h1), so platforms that saw different ones open none of each other's mail.
"""

from itertools import combinations, product

import pytest


def subsets(members, least):
    return [
        frozenset(s) for size in range(least, len(members) + 1) for s in combinations(sorted(members), size)
    ]


def views(me, n, least):
    """What one honest platform can be made to accept: (U2, U3), with None for no further question."""
    for others in subsets(set(range(n)) - {me}, least - 1):
        sharers = others | {me}
        yield sharers, None
        for survivors in subsets(sharers, least):
            if me in survivors:
                yield sharers, survivors


def releases(view, honest, colluders, t, *, quorum, exclusive):
    """(dealer, secret) → how many shares the coordinator gets from honest platforms."""
    count = {}
    for me in honest:
        sharers, survivors = view[me]
        if survivors is None:
            continue
        agreeing = sum(1 for other in survivors & honest if view[other] == view[me]) + len(
            survivors & colluders
        )
        if quorum and agreeing < t:
            continue
        for dealer in sharers:
            for secret in ("seed", "key") if not exclusive else ("seed" if dealer in survivors else "key",):
                count[dealer, secret] = count.get((dealer, secret), 0) + 1
    return count


def isolated(view, honest, known):
    """For each honest platform the smallest group around it whose sum has no unknown mask left in it, if any."""
    hidden = {
        i: {j for j in view[i][0] & honest - {i} if not {(i, "key"), (j, "key")} & known} for i in honest
    }
    for platform in honest:
        group, edge = set(), {platform}
        while edge:  # a mask that i holds and nobody can compute cancels only with the one that j holds
            group |= edge
            edge = {j for i in edge for j in hidden[i]} - group
        cancel = all(i in hidden[j] for i in group for j in hidden[i])
        if cancel and all((i, "seed") in known for i in group):
            yield group


def everything(n, c, least):
    """All strategies."""
    for choice in product(*(list(views(me, n, least)) for me in range(n - c))):
        yield dict(enumerate(choice))


def one_quorum(n, c, t, least):
    """All strategies that matter where only a quorum releases: who is in none might as well not be asked, and as
    2t > n + c there is one at most, of platforms with the same U2 and the same U3.
    """
    honest = range(n - c)
    for mail in product(*(subsets(set(range(n)) - {me}, least - 1) for me in honest)):
        sharers = [others | {me} for me, others in zip(honest, mail, strict=True)]
        for shared in {s for s in sharers if sharers.count(s) + c >= t}:
            for survivors in subsets(shared, least):
                group = {me for me in honest if sharers[me] == shared and me in survivors}
                if len(group) + c >= t:
                    yield {me: (sharers[me], survivors if me in group else None) for me in honest}


def mail_withheld_from_one(n, c, least):
    """The strategies that give the first platform as little mail as it accepts, and everyone else all of it."""
    options = [[view for view in views(0, n, least) if len(view[0]) == least]]
    options += [
        [view for view in views(me, n, least) if len(view[0]) == n and view[1]] for me in range(1, n - c)
    ]
    for choice in product(*options):
        yield dict(enumerate(choice))


def smallest_leak(n, c, t, strategies, *, quorum=True, exclusive=True):
    """The smallest group of honest platforms that a strategy isolates; None if none isolates any."""
    honest, colluders = frozenset(range(n - c)), frozenset(range(n - c, n))
    smallest = None
    for view in strategies:
        count = releases(view, honest, colluders, t, quorum=quorum, exclusive=exclusive)
        known = {secret for secret, shares in count.items() if shares + c >= t}
        for group in isolated(view, honest, known) if known else ():
            smallest = min(smallest or n, len(group))
            if smallest == 1:
                return 1
    return smallest


@pytest.mark.parametrize(("n", "c"), [(3, 0), (3, 1), (4, 0), (4, 1), (4, 2), (5, 1), (5, 2), (5, 3)])
def test_no_strategy_isolates_fewer_than_the_charter_promises(convoy, n, c):
    terms = convoy(n, c, dimension=1).terms
    t, least = terms.threshold(n), terms.floor(n)
    smallest = smallest_leak(n, c, t, everything(n, c, least))
    assert smallest == smallest_leak(n, c, t, one_quorum(n, c, t, least))
    assert smallest is not None, "the honest strategy must be among them"
    assert smallest >= terms.n_min - c >= 2


def test_nor_with_five_honest_platforms(convoy):
    """Too many strategies to try them all; those that matter are enough, as the test above confirms."""
    terms = convoy(5, dimension=1).terms
    assert smallest_leak(5, 0, terms.threshold(5), one_quorum(5, 0, terms.threshold(5), terms.floor(5))) == 3


def test_it_finds_the_attack_on_a_protocol_without_a_survivor_quorum():
    assert smallest_leak(5, 0, 3, mail_withheld_from_one(5, 0, 3), quorum=False) == 1
    assert smallest_leak(5, 0, 3, mail_withheld_from_one(5, 0, 3)) != 1


def test_it_finds_the_attack_on_a_threshold_that_the_coordinator_lowers():
    assert smallest_leak(4, 1, 2, everything(4, 1, 2)) == 1


def test_it_finds_the_attack_on_platforms_that_release_both_shares():
    assert smallest_leak(4, 1, 3, everything(4, 1, 3), exclusive=False) == 1
