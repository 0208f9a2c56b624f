from __future__ import annotations

import json
import logging
import shutil

import numpy as np
import pytest

from jaxtrain.data import READERS, SOURCES, check_dataset, image_folder, memory
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.run import make_config


def read(root, fraction=0.1, seed=0, fitted=None, **options):
    options = {"size": (6, 4), "channels": 1, **options}
    return image_folder(fraction, seed, fitted, root=str(root), **options)


def numbers(rows):
    """Class, and number within it, of each image: they are drawn so that they can be told."""
    return list(zip(rows.labels.tolist(), rows.inputs[:, 0, 0, 0].round(4).tolist(), strict=True))


def test_a_folder_of_classes(birds):
    splits = read(birds)
    assert [len(rows) for rows in splits.sets.values()] == [24, 4, 7]
    train = splits.train
    assert train.label_names == ("Gull", "crow", "gull")
    assert (train.name, train.num_outputs, train.task) == ("birds", 3, "classification")
    assert train.inputs.shape == (24, 6, 4, 1)
    assert train.inputs.dtype == np.float32
    assert np.bincount(splits.test.labels).tolist() == [1, 4, 2]
    assert np.bincount(splits.validation.labels).tolist() == [1, 2, 1]
    assert all(f.ok for rows in splits.sets.values() for f in check_dataset(rows))
    bright = [train.inputs[train.labels == label].mean() for label in range(3)]
    assert bright[0] > bright[2] > bright[1]
    assert read(birds, 0.0).validation is None


def test_the_rows_are_those_of_the_seeds(birds):
    first = read(birds)
    assert first.train.fingerprint() == read(birds).train.fingerprint()
    other = read(birds, seed=1)
    assert other.test.fingerprint() == first.test.fingerprint()
    assert other.validation.fingerprint() != first.validation.fingerprint()
    assert read(birds, split_seed=1).test.fingerprint() != first.test.fingerprint()
    # An image that can't be read any more moves no other one.
    (birds / "crow" / "3.png").write_text("broken")
    left = read(birds, unreadable="skip")
    now = [set(numbers(rows)) for rows in left.sets.values()]
    before = [set(numbers(rows)) for rows in first.sets.values()]
    assert all(a <= b for a, b in zip(now, before, strict=True))


def test_sets_in_folders(birds, drawn, caplog, tmp_path):
    root = tmp_path / "sets"
    shutil.copytree(birds, root / "train")
    for name in ("val", "test"):
        drawn(root / name / "gull" / "1.png", 130)
    with caplog.at_level(logging.INFO):
        splits = read(root)
    assert [len(rows) for rows in splits.sets.values()] == [35, 1, 1]
    assert splits.test.labels.tolist() == [2]
    assert "no share of others" in caplog.text
    drawn(root / "test" / "emu" / "1.png")
    with pytest.raises(ConfigError, match="emu: 'emu' is none of the 3 classes of the training"):
        read(root)
    named = read(root, train="train", test="val")
    assert [len(rows) for rows in named.sets.values()] == [31, 4, 1]


def test_errors_of_layout_and_images(birds, tmp_path, monkeypatch):
    with pytest.raises(DataNotFoundError):
        read(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"data\.root: "):
        read("~no_such_user/birds")
    (birds / "crow" / "5.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"5\.png: an empty file; mend or remove it"):
        read(birds)
    for path in (birds / "Gull").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(DataError, match="no training image of the class 'Gull' can be read"):
        read(birds, unreadable="skip")
    monkeypatch.setattr(memory, "machine_memory", lambda: 1000)
    with pytest.raises(ConfigError, match="35 images of 6x4x1 in float32"):
        read(birds)
    shutil.rmtree(birds / "crow")
    shutil.rmtree(birds / "gull")
    with pytest.raises(ConfigError, match="found Gull alone"):
        read(birds)


def test_what_is_left_out_is_told_once(birds, caplog):
    for number in range(15):
        (birds / f"notes{number}.txt").write_text("")
        (birds / "crow" / f"notes{number}.txt").write_text("")
    with caplog.at_level(logging.WARNING):
        read(birds)
    assert caplog.text.count("left out 15 (notes0.txt, notes1.txt, notes10.txt, ...)") == 2


def test_an_evaluation_fits_nothing_anew(birds, tmp_path, drawn):
    root = tmp_path / "sets"
    shutil.copytree(birds, root / "train")
    drawn(root / "test" / "gull" / "1.png", 130)
    splits = read(root)
    state = json.loads(json.dumps(splits.reader.state()))
    assert state == {"classes": ["Gull", "crow", "gull"], "size": [6, 4], "channels": 1}
    shutil.rmtree(root / "train" / "Gull")
    assert read(root, fitted=state).test.labels.tolist() == [2]  # not 1, as it would be anew
    shutil.rmtree(root / "train")
    later = read(root, fitted=state)
    assert (later.train, later.test.labels.tolist()) == (None, [2])
    assert later.test.fingerprint() == splits.test.fingerprint()
    assert later.reader.state() == splits.reader.state()
    with pytest.raises(ConfigError, match="trained on images of 6x4x1, found 8x8x1"):
        read(root, fitted=state, size=(8, 8))


def test_as_a_config_says_it(birds):
    section = {"name": "images", "root": str(birds), "size": [6, 4], "channels": 3}
    config = make_config({"data": section})
    splits = SOURCES.build(config.data, validation_fraction=0.1, seed=0, fitted=None)
    assert splits.train.inputs.shape == (24, 6, 4, 3)
    reader = READERS.build(config.data, state=splits.reader.state())
    assert len(reader.read(birds)) == 35
    for key, value in {"size": [0, 4], "channels": 2, "unreadable": "drop"}.items():
        with pytest.raises(ConfigError, match=rf"data\.{key}"):
            make_config({"data": {**section, key: value}})
    with pytest.raises(ConfigError, match=r"data\.size"):
        make_config({"data": {"name": "images", "root": "x"}})
