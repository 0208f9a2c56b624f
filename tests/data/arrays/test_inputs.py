from __future__ import annotations

import json

import numpy as np
import pytest

from jaxtrain.data.arrays.inputs import InputForm
from jaxtrain.errors import ConfigError, DataError

GREY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4) * 10
TABLE = np.array([[1.0, 10.0], [3.0, 30.0], [5.0, 20.0]])


def form_of(raw, images=None, tokens=False, standardise=False):
    form = InputForm.of(raw, name="x", images=images, tokens=tokens)
    return form.fitted(form.plain(raw, name="x")) if standardise else form


def test_bytes_of_images_are_divided_and_get_a_channel():
    form = form_of(GREY)
    found = form.apply(GREY, name="x")
    assert (found.shape, found.dtype) == ((2, 3, 4, 1), np.float32)
    assert np.allclose(found[..., 0], GREY / 255)
    assert (
        form.words() == "images in bytes, divided by 255, [B, 3, 4, 1] by an axis of one at the end"
    )
    colour = GREY.reshape(2, 2, 2, 3)
    assert form_of(colour).apply(colour, name="x").shape == (2, 2, 2, 3)
    # A later file may be darker.
    assert form.apply(GREY // 200, name="x").max() == np.float32(1 / 255)


def test_bytes_that_are_no_images_and_masks_keep_their_scale():
    for raw, images in ((GREY, False), (GREY.reshape(2, 12), None), (GREY // 200, None)):
        form = form_of(raw, images)
        assert form.divisor == 1
        assert np.allclose(form.apply(raw, name="x").reshape(2, -1), raw.reshape(2, -1))
    assert form_of(GREY, False).apply(GREY, name="x").shape == (2, 3, 4)


def test_floats_are_images_where_it_is_said():
    raw = GREY / 255
    assert form_of(raw).apply(raw, name="x").shape == (2, 3, 4)
    form = form_of(raw, True)
    assert np.allclose(form.apply(raw, name="x")[..., 0], raw)
    with pytest.raises(ConfigError, match=r"data\.images: expected x of shape"):
        form_of(TABLE, True)


def test_channels_first_are_refused_and_can_be_insisted_on():
    raw = np.zeros((2, 3, 8, 8), np.uint8)
    with pytest.raises(ConfigError, match=r"channels first.*np\.moveaxis\(x, 1, -1\)"):
        form_of(raw)
    assert form_of(raw, True).given == (3, 8, 8)
    assert form_of(raw, False).given == (3, 8, 8)
    assert form_of(np.zeros((2, 3, 8, 3), np.uint8)).images


def test_standardised_by_the_training_rows():
    form = form_of(TABLE, standardise=True)
    found = form.apply(TABLE, name="x")
    assert np.allclose(found.mean(axis=0), 0, atol=1e-6)
    assert np.allclose(found.std(axis=0), 1, atol=1e-6)
    assert np.allclose(form.apply(TABLE[:1], name="x"), found[:1])
    assert "standardised by the 2 means" in form.words()
    images = form_of(GREY, standardise=True)
    assert len(images.mean) == 1
    assert abs(images.apply(GREY, name="x").mean()) < 1e-6
    hole = TABLE.copy()
    hole[1, 0] = np.nan  # stays where it is, for the checks to find
    assert np.isnan(form_of(hole, standardise=True).apply(hole, name="x")).sum() == 1


def test_tokens():
    raw = np.array([[1, 5], [2**31 - 1, 0]], np.int64)
    found = form_of(raw, tokens=True).apply(raw, name="x")
    assert (found.dtype, found.tolist()) == (np.int32, raw.tolist())
    for wrong, said in (
        (np.array([[-1]]), r"x\[0, 0\] is -1; tokens are from 0"),
        (np.array([[0, 2**31]]), r"x\[0, 1\] is 2147483648"),
        (np.array([[0.5]]), "tokens are whole numbers"),
    ):
        with pytest.raises(DataError, match=said):
            form_of(wrong, tokens=True).apply(wrong, name="x")
    assert not form_of(GREY, tokens=True).images
    with pytest.raises(ConfigError, match="tokens are no images"):
        form_of(GREY, True, True)


def test_one_number_a_row_gets_an_axis():
    raw = np.arange(3.0)
    assert form_of(raw, standardise=True).apply(raw, name="x").shape == (3, 1)


def test_texts_are_no_inputs():
    with pytest.raises(DataError, match="x: expected numbers, found str32"):
        form_of(np.array(["a"])).apply(np.array(["a"]), name="x")


def test_others_than_it_was_trained_on():
    form = form_of(GREY)
    with pytest.raises(ConfigError, match=r"rows of shape \[3, 4\], .* of shape \[3, 4\]; one row"):
        form.apply(GREY[0], name="new")
    with pytest.raises(ConfigError, match="found an array of shape"):
        form.apply(GREY[:, :2], name="new")
    with pytest.raises(ConfigError, match="trained on images in uint8, found float64"):
        form.apply(GREY / 255, name="new")
    with pytest.raises(ConfigError, match="trained on images in other numbers, found uint8"):
        form_of(GREY / 255, True).apply(GREY, name="new")
    # Of a table, whole numbers are as good as others.
    assert form_of(TABLE).apply(np.uint8([[1, 2]]), name="new").tolist() == [[1, 2]]


@pytest.mark.parametrize("raw", [GREY, TABLE, np.arange(3.0), GREY.reshape(2, 2, 2, 3)])
@pytest.mark.parametrize("standardise", [True, False])
def test_there_and_back(raw, standardise):
    form = form_of(raw, standardise=standardise)
    back = InputForm.from_json(json.loads(json.dumps(form.to_json())))
    assert back == form
    assert (back.apply(raw, name="x") == form.apply(raw, name="x")).all()


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [0]},
        {"shape": [2.0]},
        {"shape": None},
        {"images": 1},
        {"tokens": None},
        {"divisor": 0},
        {"divisor": "x"},
        {"mean": [1]},
        {"deviation": [0, 1]},
        {"deviation": [-1, 1]},
        {"mean": [float("nan"), 0]},
        {"mean": ["a", "b"]},
    ],
)
def test_what_is_something_else(change):
    record = {**form_of(TABLE, standardise=True).to_json(), **change}
    with pytest.raises(DataError, match="the reader of arrays: expected shape"):
        InputForm.from_json(record)
    with pytest.raises(DataError, match="the reader of arrays"):
        InputForm.from_json(None)
