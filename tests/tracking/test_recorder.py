"""What is logged is on the disk, in order, and comes back the same after a kill."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jaxtrain.errors import ConfigError, TrackingError
from jaxtrain.tracking import Artifact, Place, Run, RunRecord, read_rows, write_metadata


@pytest.fixture
def run(tmp_path):
    write_metadata(tmp_path, "running", project="p", config={})
    return Run(tmp_path)


def logged(run):
    rows, skipped = read_rows(run.directory / "metrics.jsonl")
    assert not skipped
    return rows


def test_numbers_at_their_steps(run):
    run.log({"loss": 0.5, "val/a": np.float32(2)}, step=0)
    run.log({"loss": 0.25}, step=10)
    run.log({"loss": math.nan}, 10)
    run.log({"loss": 0.125})
    assert logged(run) == [
        {"event": "log", "step": 0, "loss": 0.5, "val/a": 2.0},
        {"event": "log", "step": 10, "loss": 0.25},
        {"event": "log", "step": 10, "loss": None},
        {"event": "log", "step": 11, "loss": 0.125},
    ]
    assert RunRecord.read(run.directory).series("loss") == ([0, 10, 11], [0.5, 0.25, 0.125])


def test_the_first_step_is_1_where_nobody_says_it(run):
    run.log({"a": 1})
    run.log({"a": 1})
    assert [row["step"] for row in logged(run)] == [1, 2]


def test_steps_go_up_on_each_axis_by_itself(run):
    run.log({"a": 1}, step=5)
    run.log({"f": 1}, step=2, axis="fold")
    run.log({"f": 2}, axis="fold")
    with pytest.raises(TrackingError, match=r"step 4 comes after 5; .*rewind_to\(3\).*axis="):
        run.log({"a": 2}, step=4)
    with pytest.raises(TrackingError, match="log: fold 2 comes after 3"):
        run.log({"f": 3}, step=2, axis="fold")
    assert [(row.get("axis"), row["step"], row.get("after")) for row in logged(run)] == [
        (None, 5, None),
        ("fold", 2, 5),
        ("fold", 3, 5),
    ]
    record = RunRecord.read(run.directory)
    assert record.series("f") == ([2, 3], [1.0, 2.0])
    assert (record.axis_of("f"), record.axis_of("a")) == ("fold", "step")
    assert record.series("f", axis="step") == ([], [])


@pytest.mark.parametrize(
    ("values", "step", "told"),
    [
        ({}, 1, "found none"),
        ({"a": "b"}, 1, "log: a: expected a number, found str"),
        ({"a": 1, "b": [1, 2]}, 1, "log: b"),
        ({"step": 3}, 1, "'step' can't be the name"),
        ({3: 3}, 1, "3 can't be the name"),
        ({"": 3}, 1, "'' can't be the name"),
        ({"a": 1}, -1, "expected a whole step from 0 on, found -1"),
        ({"a": 1}, 1.5, "expected a whole step"),
        ({"a": 1}, "1", "the step: expected a number"),
        ({"a": 1}, 2**63, "expected a whole step"),
    ],
)
def test_nothing_of_what_can_not_be_is_written(run, values, step, told):
    with pytest.raises(TrackingError, match=told):
        run.log(values, step)
    assert not (run.directory / "metrics.jsonl").exists()


def test_media_are_plain_files_with_a_line_each(run):
    run.log({"a": 1}, step=7)
    run.log_image("filters/first", np.zeros((2, 3)), caption="of the start")
    run.log_histogram("weights", np.arange(5), step=3, bins=2)
    run.log_text("said", "hello", step=9)
    run.log_table("worst", [["a", 1]], columns=["x", "y"], step=9)
    media = RunRecord.read(run.directory).media
    assert [(m["kind"], m["name"], m["step"]) for m in media] == [
        ("image", "filters/first", 7),
        ("histogram", "weights", 3),
        ("text", "said", 9),
        ("table", "worst", 9),
    ]
    assert media[0]["caption"] == "of the start"
    assert media[0]["file"].startswith("media/images/filters/first/7-")
    assert (run.directory / media[2]["file"]).read_text() == "hello"


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/x", "a b", "a//b", "", "a%2e", "a\\b", "a\0"]
)
def test_names_of_media_that_lead_elsewhere(run, name):
    with pytest.raises(ConfigError):
        run.log_text(name, "x", 1)
    assert not (run.directory / "media.jsonl").exists()
    assert not (run.directory / "media").exists()


def test_a_link_in_the_place_of_media_is_not_followed(run, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (run.directory / "media").symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="leads out"):
        run.log_text("a", "x", 1)
    assert list(elsewhere.iterdir()) == []


def test_with_an_engine_the_step_is_where_it_stands(run):
    run.log({"a": 0}, step=2)  # before it starts
    place = [Place(3, 1, 0)]
    run.follow(lambda: place[0])
    run.log({"a": 1})
    run.log_text("t", "x")
    place[0] = Place(6, 2, 2)
    run.log({"a": 1})
    run.follow(None)
    run.log({"a": 2})
    assert [(row["step"], row.get("at")) for row in logged(run)] == [
        (2, None),
        (3, {"iteration": 3, "epoch": 1, "done": 0}),
        (6, {"iteration": 6, "epoch": 2, "done": 2}),
        (7, None),
    ]
    assert run.record.media[0]["step"] == 3


def whole(directory):
    files = {p.relative_to(directory): p for p in directory.rglob("*") if p.is_file()}
    return {str(k): p.read_bytes() for k, p in files.items() if p.name != "metadata.json"}


def test_a_script_takes_back_what_it_logs_again(tmp_path):
    """Its loop has checkpoints of its own; killed at 8, it goes on from 4."""

    def tell(run, first, last):
        for step in range(first, last + 1):
            run.log({"a": step}, step)
            run.log_image("p", np.full((2, 2), step, np.uint8), step)
            if step % 3 == 0:
                run.log({"fold": step}, step // 3, axis="fold")

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    tell(Run(tmp_path / "whole"), 1, 9)
    tell(Run(tmp_path / "killed"), 1, 8)
    run = Run(tmp_path / "killed")
    run.rewind_to(4)
    tell(run, 5, 9)
    assert whole(tmp_path / "killed") == whole(tmp_path / "whole")
    assert len(whole(tmp_path / "whole")) == 2 + 9
    run.rewind_to(0)
    assert whole(tmp_path / "killed") == {"metrics.jsonl": b"", "media.jsonl": b""}
    with pytest.raises(TrackingError, match="rewind_to"):
        run.rewind_to(-1)


def test_a_picture_that_stays_is_not_taken_with_one_that_goes(tmp_path):
    run = Run(tmp_path)
    run.log_text("t", "x", step=5)
    run.follow(lambda: Place(9, 1, 0))
    run.log_text("t", "x", step=5)  # the same file
    run.rewind(Place(1, 1, 0))
    (row,) = read_rows(tmp_path / "media.jsonl")[0]
    assert "at" not in row
    assert (tmp_path / row["file"]).is_file()


def test_what_was_made_anew_is_forgotten_by_its_names_alone(run):
    run.log_text("report/a", "x", 1)
    run.log_text("report/b", "x", 1)
    run.follow(lambda: Place(1, 1, 0))
    run.log_text("report/a", "y", 1)  # somebody's, of that name
    run.forget_media("report/a")
    assert [(m["name"], "at" in m) for m in run.record.media] == [
        ("report/b", False),
        ("report/a", True),
    ]


def test_rewinding_follows_no_name_that_somebody_wrote_into_the_index(tmp_path):
    outside = tmp_path / "precious"
    outside.write_text("x")
    (tmp_path / "run").mkdir()
    line = '{"kind": "text", "name": "t", "step": 9, "file": "%s"}\n'
    (tmp_path / "run/media.jsonl").write_text(line % "../precious" + line % outside)
    Run(tmp_path / "run").rewind_to(1)
    assert outside.read_text() == "x"
    assert (tmp_path / "run/media.jsonl").read_text() == ""


def test_sinks_hear_what_is_logged(run):
    heard = []

    class Sink:
        def figures(self, values, step, axis):
            heard.append((dict(values), step, axis))

        def medium(self, medium, name, step):
            heard.append((medium.kind, name, step))

    sink = Sink()
    run.add_sink(sink)
    run.log({"a": np.float64(1)}, 2, axis="x")
    run.log_text("t", "x", 3)
    run.remove_sink(sink)
    run.log({"a": 1}, 3)
    assert heard == [({"a": 1.0}, 2, "x"), ("text", "t", 3)]


def test_one_that_does_not_write_checks_all_the_same(tmp_path):
    run = Run(tmp_path, writes=False)
    run.log({"a": 1}, step=3)
    with pytest.raises(TrackingError, match="comes after"):
        run.log({"a": 1}, step=2)
    with pytest.raises(TrackingError, match="expected a str"):
        run.log_text("t", 3)
    with pytest.raises(ConfigError):
        run.log_text("../t", "x")
    file = tmp_path / "f"
    file.write_text("x")
    assert run.log_artifact(Artifact("m", "model").add_file(file)) is None
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_one_that_does_not_write_leaves_what_another_has_written(tmp_path):
    run = Run(tmp_path)
    run.log({"a": 1}, step=9)
    run.log_text("t", "x", 9)
    before = whole(tmp_path)
    silent = Run(tmp_path, writes=False)
    silent.log({"a": 1}, step=1)  # it knows nothing of the other's steps
    silent.rewind(Place(-1, -1, -1))
    silent.rewind_to(0)
    silent.forget_media("t")
    with pytest.raises(TrackingError, match="holds no file"):
        silent.log_artifact(Artifact("m", "model"))
    assert whole(tmp_path) == before


def test_using_an_artifact_of_another_run_is_noted(tmp_path):
    runs = []
    for name in ("a", "b"):
        (tmp_path / "p" / name).mkdir(parents=True)
        write_metadata(tmp_path / "p" / name, "completed", project="p", config={})
        runs.append(Run(tmp_path / "p" / name))
    file = tmp_path / "f"
    file.write_text("x")
    logged = runs[0].log_artifact(Artifact("m", "model").add_file(file))
    found = runs[1].use_artifact("m")
    assert found.version == logged.version
    assert (found.path / "f").read_text() == "x"
    other = tmp_path / "p/c"  # beside them, and of another project
    other.mkdir()
    write_metadata(other, "completed", project="q", config={})
    Run(other).log_artifact(Artifact("theirs", "model").add_file(file))
    with pytest.raises(ConfigError, match="there is none"):
        runs[1].use_artifact("theirs")
    (row,) = read_rows(tmp_path / "p/b/artifacts/used.jsonl")[0]
    assert (row["name"], row["version"]) == ("m", found.version)
