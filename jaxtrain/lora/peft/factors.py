"""The factors of an adapter's file as they lie here.

    modules = read_factors(targets, keys, kernels, weights, given)
    modules["layers.0.attention.q"]["a"]                    # [I, R]

Axes: I inputs, R rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from jaxtrain.errors import DataError
from jaxtrain.lora.peft.config import PeftConfig
from jaxtrain.lora.peft.contents import Parts, listed
from jaxtrain.lora.peft.tensors import NAME, Layout, Part, key_of, parse_key
from jaxtrain.lora.targets import Kernel, Target
from jaxtrain.models.hf.weights import Weights


def input_axes(
    chosen: Iterable[str],
    keys: Mapping[str, Parts],
    kernels: Mapping[str, Kernel],
    weights: Weights,
) -> dict[str, int]:
    """How many axes are inputs, of kernels whose shape and name do not say it, or say otherwise."""
    found = {}
    for name in chosen:
        kernel, key = kernels[name], keys[name].get("a")
        shape = weights.heads[key].shape if key else ()
        flat = kernel.is_convolution and len(shape) == 2
        if key is None or not (kernel.in_axes is None or flat):
            continue
        sizes = kernel.layer_shape
        fitting = [n for n in range(1, len(sizes)) if int(np.prod(sizes[:n])) == shape[-1]]
        if not fitting:
            raise DataError(
                f"{weights.place(key)}: expected {' or '.join(_products(sizes))} inputs, of a "
                f"kernel {list(sizes)}, found {list(shape)}"
            )
        found[name] = fitting[0]
    return found


def _products(sizes: Sequence[int]) -> list[str]:
    return [str(int(np.prod(sizes[:n]))) for n in range(1, len(sizes))]


def read_factors(
    targets: Sequence[Target],
    keys: Mapping[str, Parts],
    kernels: Mapping[str, Kernel],
    weights: Weights,
    given: PeftConfig,
) -> dict[str, dict[str, np.ndarray]]:
    """The factors of each module as they lie here, float32, by its name."""
    parts: tuple[Part, ...] = ("a", "b", "m") if given.dora else ("a", "b")
    layouts: dict[str, Layout] = {}
    for target in targets:
        for name, rank in zip(target.names, target.ranks, strict=True):
            if not rank:
                continue
            kernel = kernels[name]
            convolution = kernel.is_convolution and target.in_axes == len(kernel.layer_shape) - 1
            layout = Layout.of(kernel.layer_shape, target.in_axes, convolution=convolution)
            layouts[name] = layout
            _refuse_parts(name, keys[name], parts, target.embedding, weights)
            for part in parts:
                head = weights.heads[keys[name][part]]
                if head.shape != (wanted := layout.shape(part, rank)):
                    raise DataError(
                        f"{weights.place(keys[name][part])}: expected {list(wanted)}, of a kernel "
                        f"{list(kernel.layer_shape)} called {name} here, found {list(head.shape)}; "
                        f"{given.trained_for}"
                    )
    return {
        name: {part: _read(weights, keys[name][part], part, layout) for part in parts}
        for name, layout in layouts.items()
    }


def _refuse_parts(
    name: str,
    found: Parts,
    parts: Sequence[Part],
    embedding: bool,
    weights: Weights,
) -> None:
    if missing := [part for part in parts if part not in found]:
        module = parse_key(next(iter(found.values())))
        of = module[0] if module else name
        raise DataError(
            f"{weights.directory / NAME}: missing: "
            + listed([key_of(of, part, embedding=embedding) for part in missing])
        )
    for part, key in found.items():
        if part not in parts:
            raise DataError(
                f"{weights.place(key)}: is a magnitude, and the config says that there is none "
                "(use_dora)"
            )
        parsed = parse_key(key)
        if parsed is not None and parsed[2] not in (None, embedding):
            raise DataError(
                f"{weights.place(key)}: {name} is "
                f"{'an embedding' if embedding else 'no embedding'} here; expected "
                f"{key_of(parsed[0], part, embedding=embedding)}"
            )


def _read(weights: Weights, key: str, part: Part, layout: Layout) -> np.ndarray:
    tensor = weights.read(key).astype(np.float32)
    if not np.isfinite(tensor).all():
        raise DataError(f"{weights.place(key)}: holds NaN or Inf")
    return layout.from_tensor(part, tensor)
