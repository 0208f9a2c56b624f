"""From the inputs of a file to those of a model, the same way every time.

    form = InputForm.of(x_train, name="x_train", images=None, tokens=False)
    form = form.fitted(form.plain(x_train, name="x_train"))  # where they are to be standardised
    form.apply(x_test, name="x_test")                        # float32, or int32 for tokens

What is done stands in the form, which is JSON: bytes of images are divided by 255 and get an axis
for their one channel; columns are standardised if wanted. Axis letters: B rows, D columns, H rows
of pixels, W columns of pixels, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from jaxtrain.data.arrays.floats import as_float32, moments
from jaxtrain.errors import ConfigError, DataError

_BYTES = np.dtype(np.uint8)
_BRIGHTEST = 255.0


@dataclass(frozen=True)
class InputForm:
    """What was found in the training inputs, and what is done with such.

    Args:
        shape: of one row in the file.
        images: whether rows are images `[H, W]` or `[H, W, C]`.
        tokens: whether values are numbers of tokens, int32.
        is_bytes: whether values are uint8 in the file.
        divisor: what each value is divided by.
        mean: of each column, or channel of images; empty where nothing is standardised.
        deviation: likewise.
    """

    shape: tuple[int, ...]
    images: bool = False
    tokens: bool = False
    is_bytes: bool = False
    divisor: float = 1.0
    mean: tuple[float, ...] = field(default=(), repr=False)
    deviation: tuple[float, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, raw: np.ndarray, *, name: str, images: bool | None, tokens: bool) -> InputForm:
        """What the training inputs `[B, ...]` say; nothing is standardised yet.

        Args:
            raw: as they are in the file.
            name: what messages call them.
            images: whether they are images; None: bytes of three or four axes are.
            tokens: whether they are numbers of tokens.

        Raises:
            ConfigError: the options contradict each other or the inputs.
        """
        is_bytes = raw.dtype == _BYTES
        if tokens and images:
            raise ConfigError("data.tokens: tokens are no images; set one of the two")
        if images is None:
            images = is_bytes and raw.ndim in (3, 4) and not tokens
            if images:
                _refuse_channels_first(raw.shape, name)
        elif images and raw.ndim not in (3, 4):
            raise ConfigError(
                f"data.images: expected {name} of shape [B, H, W] or [B, H, W, C], found "
                f"{list(raw.shape)}"
            )
        # A mask of zeros and ones in bytes is as it should be.
        bright = images and is_bytes and raw.max(initial=0) > 1
        return cls(raw.shape[1:], images, tokens, is_bytes, _BRIGHTEST if bright else 1.0)

    @property
    def given(self) -> tuple[int, ...]:
        """The shape of one row as the model takes it."""
        lacks_axis = not self.shape or (self.images and len(self.shape) == 2)
        return (*self.shape, 1) if lacks_axis else self.shape

    def refuse_others(self, raw: np.ndarray, *, name: str) -> None:
        """Raises where `raw` is not what the form was fitted on.

        Raises:
            ConfigError: another shape, or bytes for other numbers where that decides the scale.
        """
        if raw.shape[1:] != self.shape:
            one = raw.shape == self.shape
            raise ConfigError(
                f"{name}: expected rows of shape {list(self.shape)}, as the model was trained on, "
                f"found an array of shape {list(raw.shape)}"
                f"{'; one row alone is saved as x[None]' if one else ''}"
            )
        is_bytes = raw.dtype == _BYTES
        if self.images and is_bytes != self.is_bytes:
            trained, found = ("uint8", raw.dtype) if self.is_bytes else ("other numbers", "uint8")
            raise ConfigError(
                f"{name}: the model was trained on images in {trained}, found {found}, whose scale "
                "is another one; save them as the training images were saved"
            )

    def apply(self, raw: np.ndarray, *, name: str) -> np.ndarray:
        """Inputs `[B, ...]` of a file as the model takes them; a new array.

        Raises:
            ConfigError: they are not what the form was fitted on.
            DataError: texts; values that float32 or int32 can't hold; names the first.
        """
        self.refuse_others(raw, name=name)
        return self.standardised(self.plain(raw, name=name))

    def plain(self, raw: np.ndarray, *, name: str) -> np.ndarray:
        """As `apply`, but not standardised.

        Raises:
            DataError: as `apply`.
        """
        if raw.dtype.kind not in "biuf":
            raise DataError(f"{name}: expected numbers, found {raw.dtype.name}")
        inputs = _as_tokens(raw, name) if self.tokens else as_float32(raw, name=name)
        if self.divisor != 1.0:
            inputs /= np.float32(self.divisor)
        return inputs.reshape(len(inputs), *self.given)

    def fitted(self, inputs: np.ndarray) -> InputForm:
        """With the moments of plain training inputs `[B, ..., D]`: of each column D (of images,
        each channel), over what is finite.
        """
        mean, deviation = moments(inputs)
        return replace(self, mean=mean, deviation=deviation)

    def standardised(self, inputs: np.ndarray) -> np.ndarray:
        """Plain inputs, which are changed in place where there is something to standardise."""
        if self.mean:
            inputs -= np.asarray(self.mean, np.float32)
            inputs /= np.asarray(self.deviation, np.float32)
        return inputs

    def to_json(self) -> Mapping[str, Any]:
        """As JSON values."""
        return {
            "shape": list(self.shape),
            "images": self.images,
            "tokens": self.tokens,
            "is_bytes": self.is_bytes,
            "divisor": self.divisor,
            "mean": list(self.mean),
            "deviation": list(self.deviation),
        }

    @classmethod
    def from_json(cls, record: Any) -> InputForm:
        """What `to_json` gave.

        Raises:
            DataError: it is something else.
        """
        try:
            form = cls(
                shape=tuple(record["shape"]),
                images=record["images"],
                tokens=record["tokens"],
                is_bytes=record["is_bytes"],
                divisor=float(record["divisor"]),
                mean=tuple(float(value) for value in record["mean"]),
                deviation=tuple(float(value) for value in record["deviation"]),
            )
            right = (
                all(type(size) is int and size > 0 for size in form.shape)
                and all(type(flag) is bool for flag in (form.images, form.tokens, form.is_bytes))
                and form.divisor in (1.0, _BRIGHTEST)
                and len(form.mean) == len(form.deviation)
                and len(form.mean) in (0, form.given[-1])
                and bool(np.isfinite([*form.mean, *form.deviation]).all())
                and min(form.deviation, default=1.0) > 0
            )
        except (TypeError, KeyError, ValueError):
            right = False
        if not right:
            raise DataError(
                "the reader of arrays: expected shape, scale and statistics of the inputs as they "
                f"were trained with, found {record!r:.200}"
            )
        return form

    def words(self) -> str:
        """What is done, for a person; nothing where nothing is."""
        said = []
        if self.divisor != 1.0:
            said.append(f"images in bytes, divided by {self.divisor:g}")
        if self.given != self.shape:
            said.append(f"[B, {', '.join(map(str, self.given))}] by an axis of one at the end")
        if self.mean:
            said.append(f"standardised by the {len(self.mean)} means of the training rows")
        if self.tokens:
            said.append("tokens, int32")
        return ", ".join(said)


def _refuse_channels_first(shape: tuple[int, ...], name: str) -> None:
    """Images as other libraries keep them: a model would take the channels for rows of pixels."""
    if len(shape) == 4 and shape[1] in (1, 3, 4) and shape[-1] not in (1, 3, 4):
        raise ConfigError(
            f"{name}: {list(shape)} looks like images with their channels first; expected "
            "[B, H, W, C]: save np.moveaxis(x, 1, -1), or set data.images=true if they are as they "
            "should be, data.images=false if they are no images"
        )


def _as_tokens(raw: np.ndarray, name: str) -> np.ndarray:
    if raw.dtype.kind not in "iu":
        raise DataError(f"{name}: tokens are whole numbers, found {raw.dtype.name}")
    wrong = np.argwhere((raw < 0) | (raw > np.iinfo(np.int32).max))
    if len(wrong):
        place = wrong[0].tolist()
        raise DataError(
            f"{name}{place} is {raw[tuple(wrong[0])]}; tokens are from 0 to 2,147,483,647"
        )
    return raw.astype(np.int32)
