"""What is broken and what is not; and the list of mutants that no test can notice."""

import tomllib
from pathlib import Path

import pytest

from audits.mutants import LIST, PACKAGE, listed, order
from audits.places import mutants

SOURCE = '''"""Text."""
from x import y

Alias = Mapping[str, int]
LIMIT: Final = 3


def guard(value: int, why: str = "") -> bool:
    """Text."""
    if value < LIMIT and value:
        raise TooSmall("share", value, why="too small", hint="more")
    check(value)
    return value == 1
'''


def broken(source: str = SOURCE) -> set[str]:
    return {mutant.mutated for mutant in mutants("file.py", source)}


@pytest.mark.parametrize(
    "mutated",
    [
        "LIMIT: Final = 4",
        "if value <= LIMIT and value:",
        "if value >= LIMIT and value:",
        "if value < LIMIT or value:",
        "if value < LIMIT:",
        "if True:",
        "if False:",
        "pass",
        "raise TooSmall('broken', value, why='too small', hint='more')",
        "raise TooSmall('share', why='too small', hint='more')",
        "raise TooSmall(value, 'share', why='too small', hint='more')",
        "return None",
        "return value != 1",
        "return value == 2",
    ],
)
def test_what_is_broken(mutated: str) -> None:
    assert mutated in broken()


@pytest.mark.parametrize(
    ("source", "mutated"),
    [
        ("raise E from None", "raise E"),
        ("for x in rows: f(x)", "for x in ():"),
        ("a = [x for x in rows if x]", "a = [x for x in rows if True]"),
        ("a = not b", "a = b"),
        ("a += 1", "pass"),
        ("a = b[:4]", "a = b[:]"),
        ("a = f(x, *fields)", "a = f(x)"),
        ("a = f(key=1)", "a = f()"),
        ("a = f(flag=True)", "a = f(flag=False)"),
        ("a = {1: 2, 3: 4}", "a = {3: 4}"),
        ("a = (b, c)", "a = (c,)"),
        ("a = sorted(b)", "a = list(b)"),
        ("a = b'x'", "a = b'broken'"),
        ("a = 2.0", "a = 5.0"),
        ("@dataclass(frozen=True)\nclass A: pass", "@dataclass(frozen=False)\nclass A:"),
        ("try: f()\nexcept (A, B): pass", "except (B,):"),
    ],
)
def test_each_operator(source: str, mutated: str) -> None:
    assert mutated in broken(source)


@pytest.mark.parametrize(
    "source",
    [
        '"""Text."""',
        "def f(a: int = None) -> 'int': pass",
        "Alias = dict[str, int]",
        "raise ValueError('text')",
        "raise E(why='text', hint=f'text {1}')",
        "why = 'text'",
        "import a.b",
        "a = list[int]()",
        "T = TypeVar('T')",
    ],
)
def test_what_is_left_alone(source: str) -> None:
    assert broken(source) <= {"pass"}


def test_a_mutant_is_known_by_what_it_says_and_not_by_its_line() -> None:
    def keys(source: str) -> set[tuple[str, str, str, str]]:
        return {mutant.key for mutant in mutants("file.py", source)}

    assert keys(SOURCE) == keys(f"\n\n# a remark\n{SOURCE}")
    assert {key[1] for key in keys(SOURCE)} == {"", "guard"}


def test_a_mutant_runs_as_it_reads() -> None:
    for mutant in mutants("file.py", "def less(a, b):\n    return a < b"):
        if mutant.mutated == "return a <= b":
            space: dict[str, object] = {}
            exec(mutant.code, space)  # noqa: S102
            less = space["less"]
            assert callable(less)
            assert less(1, 1)
            return
    pytest.fail("not among them")


def test_every_listed_mutant_exists_and_says_why_nothing_can_notice_it() -> None:
    files = sorted(PACKAGE.glob("*.py"))
    there = {mutant.key for path in files for mutant in mutants(path.name, path.read_text())}
    rows = tomllib.loads(LIST.read_text())["mutant"]
    assert len(rows) == len(listed())
    for key, why in listed().items():
        assert key in there, key
        assert len(why) > 20, key


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_files_own_tests_come_first_and_none_is_left_out(path: Path) -> None:
    first, later = order(path.name)
    own = PACKAGE.parents[1] / "tests" / "common" / "secagg" / f"test_{path.name}"
    assert first[0] == str(own) or not own.exists()
    assert sorted([*first, *later]) == sorted(map(str, own.parent.glob("test_*.py")))
