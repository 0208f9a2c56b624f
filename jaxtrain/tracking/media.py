"""Pictures, histograms, texts and tables: each a plain file that anything can open.

    file, extra = image_file(array)      # PNG
    histogram_file(values)               # JSON: edges [K + 1], counts [K], and what they leave out
    text_file("...")                     # UTF-8
    table_file([{"word": "a", "count": 3}, ...])    # JSON: columns, rows

Each gives the bytes, the ending of the file's name, and what stands beside it in media.jsonl.
"""

from __future__ import annotations

import io
import json
import math
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrain.errors import TrackingError
from jaxtrain.tracking.rows import BOUND

KINDS = ("image", "histogram", "text", "table")

_BINS = 64


@dataclass(frozen=True)
class Medium:
    """The file that something becomes.

    Attributes:
        kind: one of `KINDS`.
        content: the file's bytes.
        suffix: the ending of its name.
        told: further JSON values for its line in media.jsonl.
    """

    kind: str
    content: bytes
    suffix: str
    told: Mapping[str, Any] = field(default_factory=dict)


def image(picture: Any) -> Medium:
    """A PNG.

    Args:
        picture: an array `[H, W]`, `[H, W, 1]`, `[H, W, 3]` or `[H, W, 4]`, of uint8 or of floats
            from 0 to 1; a figure of matplotlib; or the path of a PNG file.

    Raises:
        TrackingError: it is none of these.
    """
    if isinstance(picture, str | Path):
        content = Path(picture).read_bytes()
        if not content.startswith(b"\x89PNG\r\n\x1a\n"):
            raise TrackingError(f"{picture}: expected a PNG file, found another")
    elif hasattr(picture, "savefig"):
        buffer = io.BytesIO()
        picture.savefig(buffer, format="png", metadata={"Software": None})
        content = buffer.getvalue()
    else:
        content = _png(_pixels(picture))
    # IHDR comes first in a PNG: width and height are the bytes from 16 on.
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    return Medium("image", content, ".png", {"width": width, "height": height})


def histogram(values: Any, bins: int = _BINS) -> Medium:
    """How the values are spread, in `bins` of one width.

    Args:
        values: an array of numbers, of any shape; NaN and Inf are counted apart.
        bins: how many.

    Raises:
        TrackingError: it holds no number, or something else.
    """
    found = np.asarray(values)
    if found.dtype.kind not in "biuf" and found.dtype.name != "bfloat16":
        raise TrackingError(f"a histogram: expected numbers, found {found.dtype}")
    found = found.astype(np.float64).ravel()
    finite = found[np.isfinite(found)]
    if not finite.size:
        raise TrackingError(f"a histogram: none of {found.size} values is a finite number")
    counts, edges = _counted(finite, bins)
    with np.errstate(over="ignore"):
        moments = {
            "mean": finite.mean(),
            "std": finite.std(),
            "sum": finite.sum(),
            "sum_squares": np.square(finite).sum(),
        }
    content = {
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "nonfinite": int(found.size - finite.size),
        "min": float(finite.min()),
        "max": float(finite.max()),
        # What has no room in a float is the largest there is.
        **{name: float(np.nan_to_num(value)) for name, value in moments.items()},
    }
    return Medium(
        "histogram", _json(content), ".json", {"mean": float(np.nan_to_num(moments["mean"]))}
    )


def text(said: str) -> Medium:
    """A text, as UTF-8.

    Raises:
        TrackingError: it is no text, or holds half a character.
    """
    if not isinstance(said, str):
        raise TrackingError(f"a text: expected a str, found a {type(said).__name__}")
    try:
        return Medium("text", said.encode(), ".txt")
    except UnicodeEncodeError as error:
        raise TrackingError(f"a text: {error}") from None


def table(rows: Any, columns: Iterable[str] | None = None) -> Medium:
    """Rows under columns.

    Args:
        rows: a list of dicts with the same keys, or of lists as long as `columns`. Their values
            are numbers, texts, booleans or None.
        columns: the names; by default the keys of the first row.

    Raises:
        TrackingError: a row has other columns, or a value is something else.
    """
    rows = list(rows)
    if columns is None:
        if not rows or not isinstance(rows[0], Mapping):
            raise TrackingError("a table: expected rows that are dicts, or `columns` beside them")
        columns = rows[0]
    names = [str(name) for name in columns]
    if len(set(names)) < len(names):
        raise TrackingError(f"a table: two columns of one name, in {names}")
    cells = []
    for number, row in enumerate(rows, 1):
        if isinstance(row, Mapping):
            if set(row) != set(names):
                raise TrackingError(
                    f"a table: row {number} has the columns {sorted(map(str, row))}, expected "
                    f"{names}"
                )
            row = [row[name] for name in names]
        if len(row) != len(names):
            raise TrackingError(
                f"a table: row {number} has {len(row)} values, expected {len(names)}: {names}"
            )
        named = zip(names, row, strict=True)
        cells.append([_cell(value, f"row {number}, {name}") for name, value in named])
    content = _json({"columns": names, "rows": cells})
    return Medium("table", content, ".json", {"rows": len(cells), "columns": len(names)})


def plain(value: Any, what: str) -> int | float:
    """A number of Python's.

    Args:
        value: a number, or an array with nothing but one.
        what: its name, for the message.

    Raises:
        TrackingError: it is something else.
    """
    if isinstance(value, bool | int | float):
        if isinstance(value, int) and abs(value) > BOUND:
            raise TrackingError(f"{what}: {reprlib.repr(value)} has no room in 64 bits")
        return float(value) if isinstance(value, float) else int(value)
    if hasattr(value, "detach") and getattr(value, "shape", None) == ():  # a number of PyTorch's
        return plain(value.detach().cpu().item(), what)
    if hasattr(value, "dtype") and getattr(value, "size", 0) == 1:
        found = np.asarray(value)
        if found.dtype.kind in "biu":
            return int(found.item())
        if found.dtype.kind == "f" or found.dtype.name == "bfloat16":
            return float(found.astype(np.float64).item())
    shape = getattr(value, "shape", None)
    kind = type(value).__name__ if shape is None else f"an array of {value.dtype} {list(shape)}"
    raise TrackingError(
        f"{what}: expected a number, found {kind}; log_histogram takes arrays, log_text texts, "
        "log_table the rest"
    )


def _counted(finite: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        return np.histogram(finite, bins=bins)
    except ValueError:  # they are so near each other that there are no floats for the edges
        low, high = np.nextafter(finite.min(), -np.inf), np.nextafter(finite.max(), np.inf)
        return np.array([finite.size]), np.array([low, high])


def _cell(value: Any, what: str) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    number = plain(value, f"a table: {what}")
    return None if isinstance(number, float) and not math.isfinite(number) else number


def _pixels(picture: Any) -> np.ndarray:
    array = np.asarray(picture)
    shape = list(array.shape)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (1, 3, 4)):
        raise TrackingError(
            f"an image: expected [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], found {shape}"
            + ("; log each of several by itself" if array.ndim == 4 else "")
        )
    if not array.size:
        raise TrackingError(f"an image: expected pixels, found none: {shape}")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        raise TrackingError(f"an image: expected uint8, or floats from 0 to 1, found {array.dtype}")
    array = array.astype(np.float32)
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 1):  # NaN is neither
        raise TrackingError(f"an image: expected floats from 0 to 1, found {low:.6g} to {high:.6g}")
    return np.round(array * 255).astype(np.uint8)


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image  # matplotlib, which every installation has, cannot be without it

    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels).save(
        buffer, format="png"
    )
    return buffer.getvalue()


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, allow_nan=False).encode() + b"\n"
