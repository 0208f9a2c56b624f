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
    engine.state.epoch, engine.state.epoch_open = 2, True
    engine.fire(Events.RESUMED)
    assert lines(tmp_path / "run") == ["epoch,iteration,a", "1,1,1.0"]
