import logging

import pytest

from jaxtrain.engine import Events
from jaxtrain.hooks import CSV


def lines(directory):
    return (directory / "metrics.csv").read_text().splitlines()


def test_a_line_an_epoch_under_a_header(make_engine, tmp_path):
    engine = make_engine(epochs={"train/loss": [0.5, 0.25], "val/loss": [0.3, 0.2]})
    engine.attach(CSV(tmp_path / "run"))
    engine.run([0, 0], max_epochs=2)
    assert lines(tmp_path / "run") == [
        "epoch,iteration,train/loss,val/loss",
        "1,2,0.5,0.3",
        "2,4,0.25,0.2",
    ]


def test_a_new_metric_gets_a_column_and_a_missing_one_an_empty_cell(make_engine, tmp_path):
    engine = make_engine(epochs={"a": [1.0, None, 3.0], 'quoted, "b"': [None, 2.0, None]})
    engine.attach(CSV(tmp_path))
    engine.run([0], max_epochs=3)
    assert lines(tmp_path) == [
        'epoch,iteration,a,"quoted, ""b"""',
        "1,1,1.0,",
        "2,2,,2.0",
        "3,3,3.0,",
    ]


def test_a_torn_or_damaged_line_goes(make_engine, saved, tmp_path):
    engine = make_engine(epochs={"a": [1.0, 2.0, 3.0]})
    engine.attach(CSV(tmp_path))
    engine.run([0], max_epochs=2)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("rubbish\nx,2,9\n3,3")

    again = make_engine(epochs={"a": [1.0, 2.0, 3.0]})
    again.attach(CSV(tmp_path))
    again.restore(*saved(engine))
    again.run([0], max_epochs=3)
    assert lines(tmp_path) == ["epoch,iteration,a", "1,1,1.0", "2,2,2.0", "3,3,3.0"]


def test_a_run_begun_anew_begins_the_file_anew(make_engine, tmp_path):
    for name in ("a", "b"):
        engine = make_engine(epochs={name: [1.0, 2.0]})
        engine.attach(CSV(tmp_path))
        engine.run([0], max_epochs=1)
    assert lines(tmp_path) == ["epoch,iteration,b", "1,1,1.0"]


def test_a_run_that_goes_on_drops_the_lines_that_it_will_write_again(make_engine, tmp_path):
    engine = make_engine(epochs={"a": [1.0, 2.0, 3.0]})
    engine.attach(CSV(tmp_path / "run"))
    engine.fire(Events.RESUMED)
    assert (tmp_path / "run").is_dir()
    path = tmp_path / "run" / "metrics.csv"
    path.write_text("epoch,iteration,a\n1,1,1.0\n2,2,2.0\n3,3,3.0\n")
    engine.state.epoch, engine.state.epoch_open, engine.state.iteration = 2, True, 1
    engine.fire(Events.RESUMED)
    assert lines(tmp_path / "run") == ["epoch,iteration,a", "1,1,1.0"]


WHOLE = "epoch,iteration,a\n1,1,1.0\n2,2,2.0\n"
SPOILT = {
    "UTF-16": (WHOLE.encode("utf-16"), 3, []),
    "UTF-16 without a mark": (WHOLE.encode("utf-16-le"), 3, []),
    "not UTF-8": (WHOLE.encode().replace(b"2,2,2", b"2,2,\xff"), 1, [1]),
    "a header that is not UTF-8": (WHOLE.encode().replace(b"epoch", b"\xff\xfe"), 3, []),
    "NULs": (WHOLE.encode().replace(b"1,1,1.0", b"\0\0\0"), 1, [2]),
    "nothing but NULs": (b"\0" * 100 + b"\n" + b"\0" * 50 + b"\n", 2, []),
    "other columns": (b"name,price\nx,3\ny,4\n", 3, []),
    "no iteration": (b"epoch,a\n1,1.0\n", 2, []),
    "a column twice": (b"epoch,iteration,a,a\n1,1,1.0,2.0\n", 2, []),
    "no header": (b"1,1,1.0\n2,2,2.0\n", 2, []),
    "a blank line": (WHOLE.encode().replace(b"1,1,1.0", b""), 1, [2]),
    "a cell too many": (WHOLE.encode().replace(b"1,1,1.0", b"1,1,1.0,1"), 1, [2]),
    "no number": (WHOLE.encode().replace(b"1,1,1.0", b"one,1,1.0"), 1, [2]),
    "other digits": (WHOLE.replace("1,1,1.0", "\u0661,1,1.0").encode(), 1, [2]),
    "a superscript": (WHOLE.replace("1,1,1.0", "\u00b2,1,1.0").encode(), 1, [2]),
    "a negative": (WHOLE.encode().replace(b"1,1,1.0", b"-1,1,1.0"), 1, [2]),
    "zero": (WHOLE.encode().replace(b"1,1,1.0", b"0,1,1.0"), 1, [2]),
    "huge": (WHOLE.encode().replace(b"1,1,1.0", b"1" * 5000 + b",1,1.0"), 1, [2]),
    "an open quote": (WHOLE.encode().replace(b"1,1,1.0", b'1,1,"1.0'), 1, [2]),
    "a huge field": (WHOLE.encode().replace(b"1,1,1.0", b"1,1," + b"x" * 200_000), 1, [2]),
}


@pytest.mark.parametrize("how", SPOILT)
def test_what_can_not_be_the_line_of_an_epoch_is_dropped_and_told(
    make_engine, saved, tmp_path, caplog, how
):
    """At 888f0db UTF-16, NULs and others' columns ended the continuation with a traceback."""
    content, dropped, kept = SPOILT[how]
    engine = make_engine(epochs={"a": [1.0, 2.0, 3.0]})
    engine.run([0], max_epochs=2)
    (tmp_path / "metrics.csv").write_bytes(content)
    again = make_engine(epochs={"a": [1.0, 2.0, 3.0]})
    again.attach(CSV(tmp_path))
    again.restore(*saved(engine))
    with caplog.at_level(logging.WARNING):
        again.run([0], max_epochs=3)
    assert f"metrics.csv: dropped {dropped} lines that can't be those of epochs" in caplog.text
    whole = [*WHOLE.splitlines(), "3,3,3.0"]
    assert lines(tmp_path) == [whole[i] for i in (0, *kept, 3)]


def test_a_line_whose_iteration_is_still_to_come_goes(make_engine, saved, tmp_path):
    engine = make_engine(epochs={"a": [1.0, 2.0]})
    engine.run([0], max_epochs=1)
    (tmp_path / "metrics.csv").write_text("epoch,iteration,a\n1,9,7.0\n")
    again = make_engine(epochs={"a": [1.0, 2.0]})
    again.attach(CSV(tmp_path))
    again.restore(*saved(engine))
    again.run([0], max_epochs=2)
    assert lines(tmp_path) == ["epoch,iteration,a", "2,2,2.0"]


def test_names_in_all_letters(make_engine, saved, tmp_path):
    engine = make_engine(epochs={"größe/\U0001f600": [1.0, 2.0]})
    engine.attach(CSV(tmp_path))
    engine.run([0], max_epochs=1)
    again = make_engine(epochs={"größe/\U0001f600": [1.0, 2.0]})
    again.attach(CSV(tmp_path))
    again.restore(*saved(engine))
    again.run([0], max_epochs=2)
    text = (tmp_path / "metrics.csv").read_bytes().decode()
    assert text == "epoch,iteration,größe/\U0001f600\n1,1,1.0\n2,2,2.0\n"
