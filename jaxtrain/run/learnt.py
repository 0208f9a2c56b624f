"""Learnt: what a checkpoint must know of the data, so that it can be used without them.

    learnt = Learnt.of(data)
    record = learnt.to_json()                    # meta["learnt"] of every checkpoint
    Learnt.from_json(record, where="meta.json")

Axis letters: B rows of a batch, K classes, D columns of a target.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import pydantic

from jaxtrain.data import TargetScale
from jaxtrain.errors import CheckpointError, DataError
from jaxtrain.run.data import RunData


class Shape(pydantic.BaseModel):
    """Shape and dtype of an array of a batch, its first axis that of the rows."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True)

    shape: tuple[pydantic.NonNegativeInt, ...]
    dtype: str

    @pydantic.field_validator("dtype")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            jnp.dtype(name)
        except TypeError:
            raise ValueError("no dtype is called so") from None
        return name


class Learnt(pydantic.BaseModel):
    """What there was to learn, from which arrays, and what was fitted to read them.

    Attributes:
        name: what the training rows are called.
        task: what there is to learn.
        num_outputs: K or D: what the model puts out.
        label_names: the name of each class, where they have names.
        class_counts: how many training rows of each class there are, where they are in memory.
        target_scale: of a standardised target, as `TargetScale.to_json`.
        reader: what was fitted, as `Reader.state`.
        example: the arrays of a batch of the training loader, by name.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    task: Literal["classification", "regression", "language"]
    num_outputs: pydantic.PositiveInt
    label_names: tuple[str, ...] = ()
    class_counts: tuple[pydantic.NonNegativeInt, ...] | None = None
    target_scale: dict[str, Any] | None = None
    reader: dict[str, Any] | None = None
    example: dict[str, Shape]

    @pydantic.model_validator(mode="after")
    def _agrees(self) -> Learnt:
        for name, values in (
            ("label_names", self.label_names),
            ("class_counts", self.class_counts),
        ):
            if values and len(values) != self.num_outputs:
                raise ValueError(f"{name}: expected {self.num_outputs}, found {len(values)}")
        if len(set(self.label_names)) < len(self.label_names):
            raise ValueError("label_names: a name is there twice")
        scale = self.scale
        if scale is not None and len(scale.mean) != self.num_outputs:
            raise ValueError(f"target_scale: expected {self.num_outputs}, found {len(scale.mean)}")
        return self

    @classmethod
    def of(cls, data: RunData) -> Learnt:
        """What is to be learnt from `data`."""
        train, splits = data.train, data.splits
        example = {n: Shape(shape=x.shape, dtype=str(x.dtype)) for n, x in data.example().items()}
        return cls(
            name=train.name,
            task=train.task,
            num_outputs=train.num_outputs,
            label_names=tuple(train.label_names),
            class_counts=data.class_counts(),
            target_scale=None if splits.target_scale is None else {**splits.target_scale.to_json()},
            reader=None if splits.reader is None else {**splits.reader.state()},
            example=example,
        )

    @classmethod
    def from_json(cls, record: Any, *, where: str) -> Learnt:
        """What `to_json` gave.

        Args:
            record: JSON values.
            where: begins the message.

        Raises:
            CheckpointError: it is something else.
        """
        try:
            return cls.model_validate_json(json.dumps(record))
        except (ValueError, DataError, RecursionError, OverflowError) as error:
            said = str(error)
            if isinstance(error, pydantic.ValidationError):
                first = error.errors(include_url=False)[0]
                said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise CheckpointError(f"{where}: does not say what was learnt: {said}") from None

    def to_json(self) -> Mapping[str, Any]:
        """As JSON values."""
        return self.model_dump(mode="json")

    @property
    def scale(self) -> TargetScale | None:
        """The scale of a standardised target.

        Raises:
            DataError: `target_scale` is none.
        """
        return None if self.target_scale is None else TargetScale.from_json(self.target_scale)

    def batch(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and dtypes of a batch of the training loader."""
        return {
            name: jax.ShapeDtypeStruct(one.shape, jnp.dtype(one.dtype))
            for name, one in self.example.items()
        }
