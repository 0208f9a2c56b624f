from __future__ import annotations

from collections import Counter

import pytest

from jaxtrain.data.images import inspect_images, inspection
from jaxtrain.errors import ConfigError, DataError


def test_what_there_is(birds, drawn):
    drawn(birds / "crow" / "wide.png", size=(6, 40), mode="RGBA")
    (birds / "crow" / "3.png").write_text("x")
    (birds / "crow" / "notes.txt").write_text("x")
    seen = inspect_images(birds)
    assert seen.counts == {"train": {"Gull": 5, "crow": 21, "gull": 10}}
    assert seen.classes == ("Gull", "crow", "gull")
    assert seen.sizes == Counter({(6, 4): 34, (6, 40): 1})
    assert seen.modes == Counter({"L": 34, "RGBA": 1})
    assert (seen.decoded, seen.coloured, seen.transparent) == (35, 0, 1)
    assert len(seen.unreadable) == 1
    assert "crow/3.png" in seen.unreadable[0]
    assert "notes.txt" in seen.left_out[0]


def test_colour_and_what_only_decoding_shows(birds):
    from PIL import Image

    Image.new("RGB", (9, 9), "red").save(birds / "crow" / "red.png")
    path = birds / "gull" / "1.png"
    path.write_bytes(path.read_bytes()[:-30])
    seen = inspect_images(birds)
    assert seen.coloured == 1
    assert "gull/1.png" in seen.unreadable[0]


def test_of_many_some_are_decoded_evenly(birds, monkeypatch):
    monkeypatch.setattr(inspection, "_DECODED", 7)
    seen = inspect_images(birds)
    assert (seen.decoded, sum(seen.sizes.values())) == (7, 35)
    assert inspection._spread(list(range(10)), 4) == [0, 2, 5, 7]


def test_sets(birds, drawn):
    root = birds.parent
    birds.rename(root / "train")
    drawn(root / "test" / "crow" / "a.png")
    seen = inspect_images(root)
    assert seen.counts["test"] == {"crow": 1}


def test_nothing_to_begin_with(birds):
    for path in birds.glob("*/*"):
        path.write_text("x")
    with pytest.raises(DataError, match="none of 35 images can be read"):
        inspect_images(birds)
    with pytest.raises(ConfigError, match="no folder"):
        inspect_images(birds / "crow")
