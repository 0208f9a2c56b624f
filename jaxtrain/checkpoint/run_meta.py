"""What a checkpoint of a run says of the run: `hooks.Checkpoint`'s part of meta.json, checked.

    said = RunMeta.of(saved)            # CheckpointError: which key of which meta.json, and why
    said.config, said.plugins, said.engine["counters"]["epoch"]

Whoever can write a file can write its digest. So everything that is read of a meta.json and used
goes through here, once; whoever has a `RunMeta` need not look again.
"""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from pydantic import AfterValidator, Field

from jaxtrain.checkpoint.saved import MAX_ITERATION, Saved
from jaxtrain.config import from_dict
from jaxtrain.engine.snapshot import first_problem, refuse_no_record
from jaxtrain.errors import CheckpointError, ConfigError


def _record(value: dict[str, Any]) -> dict[str, Any]:
    try:
        refuse_no_record(value)
    except ConfigError as error:  # a ValueError, but pydantic is to show no type
        raise ValueError(str(error)) from None
    return value


def _config(value: dict[str, Any] | None) -> dict[str, Any] | None:
    if value is not None:
        from_dict(value)  # a ConfigError, which is a ValueError, where keys can't be those of one
    return value


Count = Annotated[int, Field(ge=0, le=MAX_ITERATION)]
Figure = Annotated[int, Field(gt=-(2**63), lt=2**63)] | float


class RunMeta(pydantic.BaseModel):
    """The entries of meta.json that are the run's. There may be others besides.

    Attributes:
        iteration: after which it was taken.
        epoch: in which, or after which.
        metrics: figures of the epoch, where it was taken at the end of one.
        engine: the record of `engine.snapshot()`.
        fingerprint: of the loader.
        config: the whole effective config; None where whoever saved it gave none.
        data: fingerprints, set by set.
        environment: versions and settings.
        plugins: the digests of the plugins that were imported; None in older checkpoints.
        weights: the digests of the files that the run began with, by name, where it began with any.
    """

    model_config = pydantic.ConfigDict(strict=True, extra="ignore", frozen=True)

    iteration: Count
    epoch: Count
    metrics: dict[str, Figure]
    engine: Annotated[dict[str, Any], AfterValidator(_record)]
    fingerprint: str | None = None
    config: Annotated[dict[str, Any] | None, AfterValidator(_config)] = None
    data: dict[str, str] = {}
    environment: dict[str, Any] = {}
    plugins: dict[str, str] | None = None
    weights: dict[str, str] = {}

    @pydantic.model_validator(mode="after")
    def _refuse_contradictions(self) -> RunMeta:
        counters = self.engine["counters"]
        for name in ("iteration", "epoch"):
            if counters[name] != getattr(self, name):
                raise ValueError(
                    f"{name} is {getattr(self, name)}, engine.counters.{name} {counters[name]}"
                )
        return self

    @classmethod
    def of(cls, saved: Saved) -> RunMeta:
        """What `saved` says.

        Raises:
            CheckpointError: it is no checkpoint of a run, or an entry is not what it must be.
        """
        path = saved.path / "meta.json"
        if "engine" not in saved.meta:
            raise CheckpointError(
                f"{path}: does not say where a run stood, since hooks.Checkpoint has not saved it; "
                "store.load reads its arrays"
            )
        try:
            return cls.model_validate(saved.meta)
        except pydantic.ValidationError as error:
            raise CheckpointError(
                f"{path}: {first_problem(error)}. Its digest is right, so somebody has written it "
                "like that; take the checkpoint away to go on from the one before it"
            ) from None
