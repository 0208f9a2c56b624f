"""What the program reads: every option with its type, range and default.

    config = check(load("configs/digits.py"), registries)     # an ExperimentConfig, frozen
    config.optimizer.learning_rate                            # a float between 1e-8 and 10

A section that names a component (`model: {name: mlp, hidden: [64]}`) has here only what all
components of its kind share. `check` adds the options of the one that is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NoReturn

import pydantic
from pydantic import Field

from jaxtrain.config.frozen_dict import FrozenDict, refuse_write
from jaxtrain.files.names import PATTERN

# A run that says nothing, and leaves nothing to look at, has few friends.
DEFAULT_HOOKS = ("progress", "console", "jsonl", "csv", "nan_guard")

RESERVED_HOOKS = ("validation", "history", "tracking", "curves", "checkpoint")
"""What the program calls the hooks that every run has; a config can't have others so called."""

Name = Annotated[str, Field(pattern=PATTERN)]


class Section(pydantic.BaseModel):
    """Frozen, no unknown keys, no silent conversions; equal where all values are equal."""

    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=()
    )

    def __eq__(self, other: object) -> bool:
        # The class of a component's section is made anew by every check, so it says nothing.
        return isinstance(other, Section) and self.model_dump() == other.model_dump()

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        refuse_write(name)

    def __delattr__(self, name: str) -> NoReturn:
        refuse_write(name)


class DataSection(Section):
    """Where examples come from and how they are batched."""

    name: str = "digits"
    batch_size: int = Field(default=32, ge=1, le=2**20)
    eval_batch_size: int | None = Field(default=None, ge=1, le=2**20)  # None: as batch_size
    validation_fraction: float = Field(default=0.1, ge=0, lt=1)
    last_batch: Literal["pad", "drop"] = "pad"
    shuffle: bool = True
    prefetch: int = Field(default=2, ge=0, le=64)  # batches put on the device ahead of time
    stream: bool = False  # training rows are read as they are wanted, not held in memory
    workers: int = Field(default=0, ge=0, le=256)  # processes that read the stream; 0: a thread


class ModelSection(Section):
    """The model by name; its own options beside it."""

    name: str = "mlp"


class LossSection(Section):
    """The loss by name; its own options beside it."""

    name: str = "cross_entropy"


class StartSection(Section):
    """Whose parameters a run begins with; an adapter is merged into its base."""

    path: str  # a run directory, of which the best checkpoint is taken, or a checkpoint
    digest: str | None = Field(default=None, pattern="[0-9a-f]{64}")  # of it; null: as it is found


Patterns = str | tuple[str, ...]


class ProtectSection(Section):
    """What a low-rank adapter does for what was learnt before it; see docs/retention.md."""

    orthogonal: float = Field(default=0.0, ge=0)  # weight of the overlap with earlier adapters
    previous_kl: float = Field(default=0.0, ge=0)  # weight of what the base would have said
    project: float = Field(default=0.0, ge=0, lt=1)  # share of a kernel's directions that are held
    earlier_rank: int = Field(default=0, ge=0)  # ranks of earlier adapters together; phases set it


class LoRASection(Section):
    """A low-rank adapter is trained, and the model's parameters are held fixed.

    The options are those of `jaxtrain.lora.LoRAConfig`, where they are explained.
    """

    rank: int = Field(ge=1)
    alpha: float = Field(default=16.0, gt=0)
    targets: Patterns = "all-linear"
    exclude: Patterns = ()
    dropout: float = Field(default=0.0, ge=0, lt=1)
    rslora: bool = False
    dora: bool = False
    init: Literal["zero_b", "gaussian", "pissa"] = "zero_b"
    rank_pattern: tuple[tuple[str, int], ...] = ()  # a key can't have dots, so they are pairs
    alpha_pattern: tuple[tuple[str, float], ...] = ()
    layers: tuple[int, ...] | None = None
    in_axes: tuple[tuple[str, int], ...] = ()
    stacks: tuple[str, ...] = ("layers",)
    form: Literal["auto", "merge", "low_rank"] = "auto"  # beside the kernels, or added to them
    quantize: Literal["int8", "int4", "nf4"] | None = None  # the base's kernels, in few bits
    protect: ProtectSection = ProtectSection()


class GroupSection(Section):
    """Parameters that have options of their own, by patterns over their paths.

    What else the optimizer takes can stand here, too; null, the default, is what the optimizer's
    section says.
    """

    match: Patterns = Field(min_length=1)  # as those of a shell: */bias, head/*
    freeze: bool = False  # they stay as they are
    learning_rate: float | None = Field(default=None, ge=1e-8, le=10)


class LookaheadSection(Section):
    """Slow weights that follow the optimizer's; see `jaxtrain.optim.lookahead`."""

    every: int = Field(default=5, ge=1)
    share: float = Field(default=0.5, gt=0, le=1)


class BatchScalingSection(Section):
    """The learning rate for another batch size than it was tuned with."""

    rule: Literal["linear", "square_root"]  # as the batch grows, or as its root
    base: int = Field(default=256, ge=1, le=2**20)  # the batch size that learning_rate is for


class OptimizerSection(Section):
    """The optimizer by name; `learning_rate` is the peak that the schedule scales.

    `groups` maps a name of the user's choice to the parameters that have other options.
    """

    name: str = "adamw"
    learning_rate: float = Field(default=1e-3, ge=1e-8, le=10)
    clip_norm: float | None = Field(default=None, gt=0)  # global norm of the gradient
    clip_value: float | None = Field(default=None, gt=0)  # each number of it; one of the three
    clip_leaf_norm: float | None = Field(default=None, gt=0)  # each leaf's norm
    batch_scaling: BatchScalingSection | None = None  # of learning_rate, by data.batch_size
    lookahead: LookaheadSection | None = None
    groups: dict[str, GroupSection] = Field(default_factory=FrozenDict)

    @pydantic.field_validator("groups", mode="after")
    @classmethod
    def _freeze(cls, groups: dict[str, Any]) -> dict[str, Any]:
        return FrozenDict(groups)


class ScheduleSection(Section):
    """The learning rate over the steps, by name; the schedule begins where the warm-up ends."""

    name: str = "constant"
    warmup_steps: int = Field(default=0, ge=0)  # updates in a line up to the peak
    warmup_epochs: float = Field(default=0.0, ge=0)  # the same in epochs
    warmup_fraction: float = Field(default=0.0, ge=0, lt=1)  # the same of all updates
    warmup_from: float = Field(default=0.0, ge=0, lt=1)  # where the line begins, of the peak

    @pydantic.model_validator(mode="after")
    def _one_warm_up(self) -> ScheduleSection:
        lengths = ("warmup_steps", "warmup_epochs", "warmup_fraction")
        said = [key for key in lengths if getattr(self, key)]
        if len(said) > 1:
            raise ValueError(f"expected one of {', '.join(lengths)}, found {' and '.join(said)}")
        if self.warmup_from and not said:
            raise ValueError(
                "warmup_from wants one of warmup_steps, warmup_epochs, warmup_fraction"
            )
        return self


class SAMSection(Section):
    """Sharpness-aware minimisation, in two passes a step; see `jaxtrain.step.sharpness_aware`."""

    radius: float = Field(default=0.05, gt=0)
    adaptive: bool = False


class TrainSection(Section):
    """How long to train."""

    epochs: int = Field(default=10, ge=1, le=10**6)
    form: Literal["auto", "single", "fused"] = "auto"  # of dispatches; see engine/form.py
    accumulate: int = Field(default=1, ge=1, le=4096)  # micro-batches a batch is split into
    # Fixes the tree in which a batch is summed, whatever the number of devices; a power of two.
    virtual_shards: int | None = Field(default=None, ge=2, le=65536)
    ema: float | None = Field(default=None, ge=0, lt=1)  # decay of an average, which is evaluated
    sam: SAMSection | None = None
    mixup: float | None = Field(default=None, gt=0)  # alpha of Beta(alpha, alpha)
    cutmix: float | None = Field(default=None, gt=0)  # likewise; one of the two


class MeshSection(Section):
    """How the devices of a run are arranged; see `jaxtrain.parallel.mesh`. -1 is what is left."""

    data: int = Field(default=-1, ge=-1)  # parts with all parameters, and rows of their own
    fsdp: int = Field(default=1, ge=-1)  # the same, but each keeps a piece of each parameter
    tensor: int = Field(default=1, ge=-1)  # parts that compute a piece of each product

    @pydantic.model_validator(mode="before")
    @classmethod
    def _one_takes_what_is_left(cls, values: Any) -> Any:
        said = isinstance(values, Mapping) and values.get("data") is None
        if said and -1 in (values.get("fsdp"), values.get("tensor")):
            return {**values, "data": 1}
        return values

    @pydantic.field_validator("data", "fsdp", "tensor", mode="after")
    @classmethod
    def _no_zero(cls, parts: int) -> int:
        if parts == 0:
            raise ValueError("expected 1 or more, or -1 for what is left, found 0")
        return parts


class CheckpointSection(Section):
    """When to save, and what to keep beside the last."""

    every_epochs: int = Field(default=1, ge=1)
    every: int | None = Field(default=None, ge=1)  # iterations, besides the ends of epochs
    keep: int = Field(default=2, ge=1)  # of the newest
    keep_best: int = Field(default=1, ge=1)  # of the best by `monitor`, besides
    monitor: str = "val/loss"
    mode: Literal["auto", "min", "max"] = "auto"  # auto: by the name; see jaxtrain/direction.py
    asynchronous: bool = True


class TrackingSection(Section):
    """What of a run is recorded besides its figures; see `jaxtrain.tracking`."""

    mode: Literal["offline", "online", "disabled"] = "offline"
    uri: str | None = None  # of the MLflow server of "online"; null: MLFLOW_TRACKING_URI
    tags: tuple[str, ...] = ()  # for finding the run again


class DistributedSection(Section):
    """Which processes are one run, where no scheduler says it; see docs/clusters.md.

    `{}` insists on several: where nothing says who they are, that is an error.
    """

    coordinator: str | None = None  # host:port of process 0; null: what the environment says
    processes: int | None = Field(default=None, ge=1)  # 1: alone, whatever the environment says
    process: int | None = Field(default=None, ge=0)  # which one this is
    heartbeat_seconds: int = Field(default=100, ge=10)  # of silence, and a process counts as dead
    start_seconds: int = Field(default=300, ge=1)  # the first waits so long for the last


class NamedSection(Section):
    """One of several components; each has a key of the user's choice, which `name` defaults to."""

    name: str


class HookSection(NamedSection):
    """A hook by name; its own options beside it."""


class MetricSection(NamedSection):
    """A metric by name; its own options beside it."""


class ExperimentConfig(Section):
    """Everything a run depends on.

    `hooks` maps a name of the user's choice to a hook; `name` says which hook it is and defaults
    to that key. What a config says there comes on top of `DEFAULT_HOOKS`; null switches one off.
    The names in `RESERVED_HOOKS` are taken.

    `metrics` maps the name that a figure is to have to a metric, in the same way; a list of names
    is short for that. None stands for those that fit the task.
    """

    seed: int = Field(default=0, ge=0, lt=2**31)
    device: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    mesh: MeshSection | None = None  # over all devices; null: one of them
    project: Name = "default"
    workdir: str | None = None
    distributed: DistributedSection | None = None
    plugins: tuple[str, ...] = ()  # a record of what was imported; never imported from here
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    start: StartSection | None = None
    lora: LoRASection | None = None
    loss: LossSection = LossSection()
    optimizer: OptimizerSection = OptimizerSection()
    schedule: ScheduleSection = ScheduleSection()
    train: TrainSection = TrainSection()
    metrics: dict[str, MetricSection] | None = None
    checkpoint: CheckpointSection = CheckpointSection()
    tracking: TrackingSection = TrackingSection()
    hooks: dict[str, HookSection] = Field(
        default_factory=lambda: FrozenDict({name: HookSection(name=name) for name in DEFAULT_HOOKS})
    )

    @pydantic.field_validator("hooks", "metrics", mode="after")
    @classmethod
    def _freeze(cls, sections: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if sections is None else FrozenDict(sections)
