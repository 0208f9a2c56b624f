"""What can be a picture, histogram, text, table or number, and what is told of what can't."""

from __future__ import annotations

import io
import json
import math

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxtrain.errors import TrackingError
from jaxtrain.tracking import media


def pixels(medium):
    return np.asarray(Image.open(io.BytesIO(medium.content)))


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3), (3, 4, 4), (3, 1)])
def test_pictures_of_bytes_are_kept_as_they_are(shape):
    picture = np.arange(math.prod(shape), dtype=np.uint8).reshape(shape)
    medium = media.image(picture)
    assert np.array_equal(pixels(medium), picture)
    assert medium.told == {"width": shape[1], "height": shape[0]}
    assert (medium.kind, medium.suffix) == ("image", ".png")


def test_one_channel_is_grey():
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    assert np.array_equal(pixels(media.image(picture)), picture[..., 0])


def test_floats_from_0_to_1_are_rounded_to_bytes():
    picture = jnp.array([[0.0, 0.499 / 255, 0.5, 1.0]], jnp.float32)
    assert pixels(media.image(picture)).tolist() == [[0, 0, 128, 255]]
    assert pixels(media.image(picture.astype(jnp.bfloat16))).tolist() == [[0, 0, 128, 255]]


def test_a_figure_and_a_file(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1), dpi=50)
    medium = media.image(figure)
    assert medium.told == {"width": 100, "height": 50}
    assert media.image(figure).content == medium.content  # no date in it
    file = tmp_path / "a.png"
    file.write_bytes(medium.content)
    assert media.image(file) == media.image(str(file)) == medium
    file.write_bytes(b"GIF89a" + bytes(20))
    with pytest.raises(TrackingError, match=r"a.png: expected a PNG file"):
        media.image(file)


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (np.zeros((2, 3, 2)), r"expected \[H, W\].*found \[2, 3, 2\]"),
        (np.zeros((5, 3, 3, 3)), "log each of several by itself"),
        (np.zeros((0, 3)), "expected pixels"),
        (np.zeros((2, 2), np.int64), "expected uint8, or floats from 0 to 1, found int64"),
        (np.full((2, 2), 1.5), "expected floats from 0 to 1, found 1.5 to 1.5"),
        (np.full((2, 2), -0.1), "found -0.1 to -0.1"),
        (np.full((2, 2), np.nan), "found nan to nan"),
    ],
)
def test_what_is_no_picture(picture, told):
    with pytest.raises(TrackingError, match=told):
        media.image(picture)


def test_a_histogram_counts_every_finite_value_and_tells_of_the_rest():
    values = np.array([[0.0, 1.0, 2.0], [4.0, np.nan, np.inf]])
    medium = media.histogram(values, bins=4)
    content = json.loads(medium.content)
    assert content == {
        "edges": [0.0, 1.0, 2.0, 3.0, 4.0],
        "counts": [1, 1, 1, 1],
        "nonfinite": 2,
        "min": 0.0,
        "max": 4.0,
        "mean": 1.75,
        "std": pytest.approx(np.std([0, 1, 2, 4])),
        "sum": 7.0,
        "sum_squares": 21.0,
    }
    assert json.loads(media.histogram(jnp.ones(3, jnp.bfloat16)).content)["sum"] == 3.0
    assert len(json.loads(media.histogram(values).content)["counts"]) == 64


@pytest.mark.parametrize("values", [[], [np.nan], ["a"], [1j]])
def test_what_is_no_histogram(values):
    with pytest.raises(TrackingError, match="a histogram"):
        media.histogram(values)


def test_values_that_leave_no_room_for_edges_are_counted_all_the_same():
    for value in (1e17, 1e20, -1e300):
        content = json.loads(media.histogram(np.full(10, value)).content)
        assert sum(content["counts"]) == 10
        assert content["edges"][0] < value < content["edges"][-1]


def test_a_number_of_pytorch():
    torch = pytest.importorskip("torch")
    assert media.plain(torch.tensor(0.5, requires_grad=True), "x") == 0.5
    assert media.plain(torch.tensor(3), "x") == 3
    with pytest.raises(TrackingError, match="expected a number"):
        media.plain(torch.ones(2), "x")


def test_texts():
    assert media.text("ä\n").content == "ä\n".encode()
    with pytest.raises(TrackingError, match="expected a str, found a int"):
        media.text(3)
    with pytest.raises(TrackingError, match="surrogates"):
        media.text("\ud800")


def test_tables_of_dicts_and_of_lists():
    rows = [{"a": 1, "b": "x"}, {"b": None, "a": np.float32(0.5)}]
    medium = media.table(rows)
    expected = {"columns": ["a", "b"], "rows": [[1, "x"], [0.5, None]]}
    assert json.loads(medium.content) == expected
    assert medium.told == {"rows": 2, "columns": 2}
    as_lists = media.table([[1, "x"], [0.5, None]], ["a", "b"])
    assert as_lists == medium
    assert json.loads(media.table([[math.nan]], ["a"]).content)["rows"] == [[None]]


@pytest.mark.parametrize(
    ("rows", "columns", "told"),
    [
        ([], None, "expected rows that are dicts"),
        ([[1]], None, "expected rows that are dicts"),
        ([{"a": 1}, {"b": 1}], None, r"row 2 has the columns \['b'\]"),
        ([[1, 2]], ["a"], "row 1 has 2 values, expected 1"),
        ([[1, 2]], ["a", "a"], "two columns of one name"),
        ([[[1]]], ["a"], "row 1, a: expected a number, found list"),
    ],
)
def test_what_is_no_table(rows, columns, told):
    with pytest.raises(TrackingError, match=told):
        media.table(rows, columns)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3),
        (True, 1),
        (0.5, 0.5),
        (np.float32(0.5), 0.5),
        (np.int8(3), 3),
        (jnp.ones((1, 1), jnp.bfloat16), 1.0),
        (np.array(True), 1),
        (2**63, 2**63),
    ],
)
def test_numbers_become_pythons(value, number):
    found = media.plain(value, "x")
    assert (found, type(found)) == (number, type(number))


@pytest.mark.parametrize(
    ("value", "told"), [("3", "str"), (None, "NoneType"), (np.ones(2), r"float64 \[2\]")]
)
def test_what_is_no_number(value, told):
    with pytest.raises(TrackingError, match=f"^x: expected a number, found .*{told}"):
        media.plain(value, "x")
