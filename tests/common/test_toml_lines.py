"""Where keys stand: tables, arrays of tables, dotted and quoted keys, values over several lines."""

from common.toml_lines import key_lines

TEXT = '''\
# a comment
name = "x"
long = """
[not.a.table]
key = 1
"""
[a.b]  # a header
"c d" = 1
e.f = 2
g = { h = 1 }
list = [
  1,
  { i = 2 },
]
[[t]]
x = 1
[t.u]
y = 1
[[t]]
x = 2
[t.u]
y = 2
'''


def test_every_key_has_its_line() -> None:
    lines = key_lines(TEXT)
    assert lines["name",] == 2
    assert lines["long",] == 3
    assert ("not",) not in lines
    assert lines["a", "b"] == 7
    assert lines["a", "b", "c d"] == 8
    assert lines["a", "b", "e", "f"] == 9
    assert lines["a", "b", "g", "h"] == 10
    assert lines["a", "b", "list", 1, "i"] == 11
    assert lines["t", 0, "x"] == 16
    assert lines["t", 0, "u", "y"] == 18
    assert lines["t", 1] == 19
    assert lines["t", 1, "x"] == 20
    assert lines["t", 1, "u", "y"] == 22
