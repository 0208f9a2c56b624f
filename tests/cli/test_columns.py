"""What is left out of a table, and when."""

from __future__ import annotations

from jaxtrain.cli.columns import GAP, Column, cut, fitted, print_columns, terminal_width

COLUMNS = [
    Column("run", ["seed0-1a2b3c", "seed1-3c4d5e"], shorter=["seed0-", "seed1-"], shorten_at=2),
    Column("status", ["completed", "failed"], worth=3),
    Column("differs", ["seed=0, epochs=30, depth=8", ""], worth=1, least=10),
]


def titles(width):
    return [column.title for column in fitted(COLUMNS, width)]


def test_what_is_worth_the_least_goes_first():
    whole = 12 + GAP + 9 + GAP + 10
    assert titles(whole) == ["run", "status", "differs"]
    assert titles(whole - 1) == ["run", "status"]
    assert fitted(COLUMNS, 23)[0].cells[0] == "seed0-1a2b3c"
    assert fitted(COLUMNS, 22)[0].cells[0] == "seed0-"
    assert titles(17) == ["run", "status"]
    assert titles(16) == ["run"]


def test_what_has_to_stay_stays_whole(monkeypatch, capsys):
    assert titles(3) == ["run"]
    monkeypatch.setenv("COLUMNS", "3")
    assert terminal_width() == 3
    print_columns(COLUMNS)
    assert capsys.readouterr().out == "run\nseed0-\nseed1-\n"


def test_what_may_be_cut_gets_the_room_that_is_left(monkeypatch, capsys):
    assert fitted(COLUMNS, 40)[2].cells == ["seed=0, epoc...", ""]
    assert fitted(COLUMNS, 200)[2].cells == COLUMNS[2].cells
    monkeypatch.setenv("COLUMNS", "40")
    print_columns(COLUMNS)
    assert max(map(len, capsys.readouterr().out.splitlines())) == 41 - 1
    both = [Column("a", ["x" * 30], least=5), Column("b", ["y" * 30], least=5)]
    assert [len(column.cells[0]) for column in fitted(both, 24)] == [17, 5]


def test_empty_columns_are_left_out(capsys):
    print_columns([Column("run", ["a"]), Column("tags", [""])])
    print_columns([Column("run", ["a"]), Column("tags", [""])], keep_empty=True)
    assert capsys.readouterr().out == "run\na\nrun  tags\na\n"


def test_wide_characters_take_two_places():
    assert Column("", ["새소리"]).width == 6
    assert cut("새소리새소리", 9) == "새소리..."
    assert cut("새소리", 6) == "새소리"


def test_numbers_stand_at_the_right_and_nothing_is_markup(capsys):
    print_columns([Column("n", ["1", "[b]10"], right=True), Column("x", ["a", ":smile:"])])
    assert capsys.readouterr().out == "    n  x\n    1  a\n[b]10  :smile:\n"
