from __future__ import annotations

import logging

import numpy as np
import pytest

from jaxtrain.data import Reader
from jaxtrain.data.images import ImageReader, image_reader
from jaxtrain.data.images.fitted import Fitted
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError

READER = ImageReader(Fitted(("Gull", "crow", "gull"), (6, 4), 1))


def test_it_is_made_again_of_its_state():
    assert isinstance(READER, Reader)
    assert image_reader(READER.state()).state() == READER.state()


def test_one_file(birds):
    rows = READER.read(birds / "crow" / "1.png")
    assert (rows.inputs.shape, rows.labels, rows.known) == ((1, 6, 4, 1), None, None)
    assert rows.ids == {"file": ["1.png"]}
    assert rows.inputs[0, 0, 0, 0] == np.float32(21) / np.float32(255)


def test_a_flat_folder(birds):
    rows = READER.read(birds / "gull")
    assert (len(rows), rows.labels) == (10, None)
    assert rows.ids["file"][:2] == ["0.JPG", "1.png"]


def test_folders_of_classes_and_of_others(birds, drawn, caplog):
    rows = READER.read(birds)
    assert rows.known is None
    assert np.bincount(rows.labels).tolist() == [5, 20, 10]
    drawn(birds / "emu" / "1.png")
    drawn(birds / "flat.png")
    (birds / "crow" / "inner").mkdir()
    with caplog.at_level(logging.WARNING):
        rows = READER.read(birds)
    assert len(rows) == 37
    places = {name: place for place, name in enumerate(rows.ids["file"])}
    assert not rows.known[[places["emu/1.png"], places["flat.png"]]].any()
    assert rows.known.sum() == 35
    assert rows.labels[places["gull/1.png"]] == 2
    assert "1 folders are none of the classes, their images have no label: emu" in caplog.text
    assert "inner: left out, a folder in a folder of images" in caplog.text


def test_what_can_not_be_read(birds, tmp_path, caplog):
    (birds / "crow" / "1.png").write_text("x")
    with pytest.raises(DataError, match=r"crow/1\.png: "):
        READER.read(birds)
    skipping = image_reader(READER.state(), unreadable="skip")
    rows = skipping.read(birds)
    assert len(rows) == 34
    assert "crow/1.png" not in rows.ids["file"]
    assert np.bincount(rows.labels).tolist() == [5, 19, 10]
    assert rows.labels[rows.ids["file"].index("gull/0.JPG")] == 2
    with pytest.raises(DataNotFoundError, match="no such file or folder"):
        READER.read(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="expected PNG or JPEG files, found none"):
        READER.read(tmp_path / "empty")
    with pytest.raises(ConfigError, match="can't be looked at"):
        READER.read(tmp_path / ("x" * 300))
    (birds / "gull" / "out.png").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="leads out"):
        skipping.read(birds)
