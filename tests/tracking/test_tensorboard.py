"""What TensorBoard's own reader finds in an event file of ours."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxtrain.tracking import EventFile, Run, RunRecord, media, write_metadata

ROOT = Path(__file__).parents[2]

accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


@pytest.fixture
def run(tmp_path):
    write_metadata(tmp_path, "running", project="p", config={})
    return Run(tmp_path)


def read(directory):
    kept = dict.fromkeys(accumulators.DEFAULT_SIZE_GUIDANCE, 0)  # all of it
    found = accumulators.EventAccumulator(str(directory), size_guidance=kept)
    found.Reload()
    return found


def test_the_same_numbers_as_in_our_own_record(run):
    with EventFile(run.directory) as events:
        run.add_sink(events)
        for step in range(5):
            run.log({"loss": 1 / (step + 1), "val/a": step}, step)
        run.log({"auc": 0.5}, 3, axis="fold")
    found = read(run.directory)
    record = RunRecord.read(run.directory)
    assert sorted(found.Tags()["scalars"]) == ["fold/auc", "loss", "val/a"]
    for name in record.names:
        tag = {"auc": "fold/auc"}.get(name, name)
        steps, values = record.series(name)
        assert [event.step for event in found.Scalars(tag)] == steps
        assert [event.value for event in found.Scalars(tag)] == pytest.approx(values, rel=1e-7)


def test_pictures_histograms_texts_and_tables(run):
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    with EventFile(run.directory) as events:
        run.add_sink(events)
        run.log_image("filters/one", picture, step=7)
        run.log_image("grey", picture[..., 0], step=7)
        run.log_histogram("w", [0.0, 1.0, 2.0, 4.0], step=7, bins=4)
        run.log_text("t", "hello", step=7)
        run.log_table("worst", [{"a": 1, "b": "x|y"}, {"a": None, "b": "2\n3"}], step=7)
    found = read(run.directory)
    (image,) = found.Images("filters/one")
    assert (image.step, image.height, image.width) == (7, 2, 4)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(image.encoded_image_string))), picture)
    (histogram,) = found.Histograms("w")
    value = histogram.histogram_value
    assert (value.min, value.max, value.num, value.sum, value.sum_squares) == (0, 4, 4, 7, 21)
    assert list(value.bucket_limit) == [1, 2, 3, 4]
    assert list(value.bucket) == [1, 1, 1, 1]
    texts = {
        tag: found.Tensors(tag)[0].tensor_proto.string_val[0] for tag in found.Tags()["tensors"]
    }
    assert texts["t/text_summary"] == b"hello"
    table = texts["worst/text_summary"].decode()
    assert table == "| a | b |\n| --- | --- |\n| 1 | x\\|y |\n|  | 2 3 |"


def test_hyperparameters(run):
    from tensorboard.plugins.hparams import plugin_data_pb2

    config = {
        "seed": 3,
        "data": {"name": "digits", "shuffle": True, "none": None},
        "hidden": [1, 2],
    }
    with EventFile(run.directory) as events:
        events.hyperparameters(config, ["val/loss"])
    found = read(run.directory).summary_metadata
    content = found["_hparams_/session_start_info"].plugin_data.content
    values = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert values["seed"].number_value == 3
    assert values["data.name"].string_value == "digits"
    assert values["data.shuffle"].bool_value is True
    assert values["hidden"].string_value == "[1, 2]"
    assert "data.none" not in values
    content = found["_hparams_/experiment"].plugin_data.content
    infos = plugin_data_pb2.HParamsPluginData.FromString(content).experiment.metric_infos
    assert [info.name.tag for info in infos] == ["val/loss"]


def test_a_run_that_goes_on_keeps_what_was_there(tmp_path):
    for first in (1, 4):
        with EventFile(tmp_path) as events:
            for step in range(first, first + 3):
                events.figures({"a": 1.0}, step)
        time.sleep(1.1)
    assert [event.step for event in read(tmp_path).Scalars("a")] == [1, 2, 3, 4, 5, 6]


def test_what_comes_from_a_step_on_is_purged(tmp_path):
    for purge, value in ((0, 1.0), (3, 2.0)):
        with EventFile(tmp_path, purge=purge) as events:
            for step in range(purge, 5):
                events.figures({"a": value}, step)
        time.sleep(1.1)  # its files are named and ordered by the second
    values = {event.step: event.value for event in read(tmp_path).Scalars("a")}
    assert values == {0: 1.0, 1: 1.0, 2: 1.0, 3: 2.0, 4: 2.0}


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4), ("LA", 2)])
def test_the_channels_of_a_picture(tmp_path, mode, channels):
    path = tmp_path / "a.png"
    Image.new(mode, (3, 2)).save(path)
    with EventFile(tmp_path) as events:
        events.medium(media.image(path), "a", 1)
    (image,) = read(tmp_path).Images("a")
    assert np.asarray(Image.open(io.BytesIO(image.encoded_image_string))).shape[2:] in (
        (),
        (channels,),
    )


@pytest.mark.parametrize("elsewhere", [False, True])
def test_no_torch_is_imported_for_it_but_by_others_it_is(tmp_path, elsewhere):
    """tensorboardX would, for an annotation; PyTorch takes two seconds."""
    (tmp_path / "torch.py").write_text("Tensor = 'imported'\n")
    if elsewhere:  # another thread imports it at that very moment
        package = tmp_path / "tensorboardX"
        (package / "proto").mkdir(parents=True)
        (package / "__init__.py").write_text(
            "import threading\n"
            "thread = threading.Thread(target=lambda: __import__('torch'))\n"
            "thread.start()\n"
            "thread.join()\n"
        )
        (package / "event_file_writer.py").write_text("EventsWriter = print\n")
        (package / "proto/event_pb2.py").write_text("SessionLog = None\n")
    script = (
        "import sys\n"
        "from jaxtrain.tracking import EventFile\n"
        "EventFile('events')\n"
        "print('tensorboardX' in sys.modules, 'torch' in sys.modules)\n"
        "import torch\n"
        "print(torch.Tensor)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == [f"True {elsewhere}", "imported"]
