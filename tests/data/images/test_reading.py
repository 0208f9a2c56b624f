from __future__ import annotations

import logging
import threading

import numpy as np
import pytest

from jaxtrain.data import memory
from jaxtrain.data.images import reading
from jaxtrain.data.images.reading import read_images
from jaxtrain.errors import ConfigError, DataError


@pytest.fixture
def files(tmp_path, drawn):
    return [drawn(tmp_path / f"{n}.png", n) for n in range(0, 200, 2)]


def read(files, **options):
    options = {"size": (6, 4), "channels": 1, "unreadable": "refuse", **options}
    return read_images(files, **options)


def test_in_the_order_of_the_files_whatever_the_threads(files, monkeypatch):
    monkeypatch.setattr(reading, "_TOGETHER", 3)
    found = []
    for threads in (1, 4):
        monkeypatch.setattr(reading, "_THREADS", threads)
        found.append(read(files))
        assert found[-1].inputs.shape == (100, 6, 4, 1)
        assert found[-1].inputs[:, 0, 0, 0].tolist() == pytest.approx(
            [n / 255 for n in range(0, 200, 2)]
        )
        assert found[-1].rows.tolist() == list(range(100))
    assert (found[0].inputs == found[1].inputs).all()
    assert not [t for t in threading.enumerate() if t.name.startswith("images")]


def test_an_image_that_can_not_be_read_is_named_or_left_out(files, caplog):
    for number in (3, 50, 70, 71):
        files[number].write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(DataError, match=rf"{files[3]}: .*data\.unreadable=skip") as caught:
        read(files)
    assert str(files[50]) not in str(caught.value)
    with caplog.at_level(logging.WARNING):
        found = read(files, unreadable="skip")
    assert len(found.inputs) == 96
    assert found.rows.tolist() == [n for n in range(100) if n not in (3, 50, 70, 71)]
    assert np.allclose(found.inputs[:, 0, 0, 0], found.rows * 2 / 255)
    assert "of 100 images left out, as they can't be read, 4:" in caplog.text
    assert str(files[3]) in caplog.text
    assert "and 1 more" in caplog.text


def test_remarks_are_told(files, caplog, monkeypatch):
    from jaxtrain.data.images.decoding import Decoded

    monkeypatch.setattr(
        reading, "decode", lambda path, *, size, channels: Decoded(np.zeros((6, 4, 1)), "odd")
    )
    with caplog.at_level(logging.WARNING):
        read(files[:2])
    assert f"{files[1]}: odd" in caplog.text


def test_none_at_all(files):
    files[0].write_text("x")
    with pytest.raises(DataError, match="none of 1 images can be read"):
        read(files[:1], unreadable="skip")


def test_more_than_half_of_the_memory_is_refused_before_anything_is_read(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "machine_memory", lambda: 2**30)
    with pytest.raises(ConfigError) as caught:
        read([tmp_path / "none.png"] * 1000, size=(256, 256), channels=3)
    said = str(caught.value)
    assert "1,000 images of 256x256x3 in float32: 750.0 MiB of memory" in said
    assert "smaller data.size" in said
    assert "GrainLoader" in said
