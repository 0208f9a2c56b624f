"""Metrics of clu and metrax, as pure metrics.

    as_metric(clu.metrics.Accuracy)                                   # reads outputs, labels, mask
    as_metric(clu.metrics.Average.from_output("grad_norm"))
    as_metric(metrax.MSE, names={"predictions": "outputs"}, float_counts=True)

Theirs is a class whose instances are the states: `empty()`, `from_model_output(**outputs)`,
`merge`, `compute` and `reduce`. What `from_model_output` asks for by name it gets from the step's
output: `logits` is `outputs`, `sample_weights` is `mask`, any other name is itself, and `names`
says otherwise.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.metrics.host_metric import is_host_metric, refuse_ignite
from jaxtrain.metrics.metric import Metric, Output, has_all
from jaxtrain.metrics.reading import at, refuse_population

_PURE = ("empty", "update", "merge", "compute")
_THEIRS = ("empty", "from_model_output", "merge", "compute", "reduce")
_ALIASES = {"logits": "outputs", "sample_weights": "mask"}

Source = str | Callable[[Output], Any]
"""Where an argument comes from: a dotted path of the step's output, or a function of it."""


def as_metric(
    metric: Any, *, names: Mapping[str, Source] | None = None, float_counts: bool = False
) -> Metric[Any]:
    """`metric` as a pure metric: one of ours as it is, a class of clu's protocol in a shell.

    Args:
        metric: a `Metric`, or a class with `empty`, `from_model_output`, `merge`, `compute` and
            `reduce` whose instances are pytrees.
        names: for the latter, where its arguments come from, by their names.
        float_counts: for the latter, keep whole numbers of its state as float32 (exact to 2**24):
            for a metric whose counts begin as integers and go on as floats, as metrax's with
            `sample_weights` do.

    Raises:
        ConfigError: it is neither; it says what is missing, or what to write instead.
    """
    refuse_ignite(metric)
    if isinstance(metric, type):
        if has_all(metric, *_THEIRS):
            sources = tuple(sorted((names or {}).items()))
            return ModelOutputMetric(metric, sources, float_counts)
        raise ConfigError(_why_no_class(metric))
    if names or float_counts:
        raise ConfigError(
            "names and float_counts are for classes with from_model_output, as those of clu; "
            f"found {metric!r}"
        )
    if has_all(metric, *_PURE):
        pure: Metric[Any] = metric
        return pure
    if has_all(metric, *_THEIRS):
        raise ConfigError(
            f"expected the class {type(metric).__qualname__} itself, whose instances are states; "
            "found an instance"
        )
    if is_host_metric(metric):
        raise ConfigError(
            f"{type(metric).__qualname__} has the class form (reset, update, compute), which is "
            "updated on the host: an engine's add_metrics takes it as it is"
        )
    missing = [name for name in _PURE if not has_all(metric, name)]
    raise ConfigError(
        f"{metric!r} is no metric: it lacks {', '.join(missing)}. A pure metric has empty(), "
        "update(state, output), merge(a, b) and compute(state); one on the host reset(), "
        "update(output) and compute()"
    )


@dataclass(frozen=True)
class ModelOutputMetric:
    """A class of clu's protocol as a pure metric; its instances are the states. See `as_metric`."""

    cls: Any
    names: tuple[tuple[str, Source], ...] = ()
    float_counts: bool = False

    def __post_init__(self) -> None:
        known = inspect.signature(self.cls.from_model_output).parameters
        unknown = sorted(dict(self.names).keys() - known.keys())
        if unknown and not self._takes_all:
            raise ConfigError(
                f"{self.title}: from_model_output has no argument {', '.join(unknown)} "
                f"(it has: {', '.join(known)})"
            )
        try:
            state = jax.eval_shape(self.cls.empty)
        except TypeError as error:
            raise ConfigError(
                f"{self.title}: its state is no pytree of arrays; decorate the class with "
                "flax.struct.dataclass"
            ) from error
        if not jax.tree.leaves(state):
            raise ConfigError(
                f"{self.title}: its empty state holds no array, so it grows as it collects; write "
                "a class with reset(), update(output) and compute(), which runs on the host"
            )

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"the metric {self.cls.__qualname__}"

    def empty(self) -> Any:
        """Nothing seen yet."""
        return self._counts(jax.tree.map(jnp.asarray, self.cls.empty()))

    def update(self, state: Any, output: Output) -> Any:
        """With what one more output has to say.

        Raises:
            DataError: the output lacks an argument; its mask would be left out; the state changes
                its shape or dtype.
        """
        refuse_population(output, self.title)
        new = self._counts(self.cls.from_model_output(**self._arguments(output)))
        merged = state.merge(new)
        self._refuse_changed(state, merged)
        return merged

    def merge(self, a: Any, b: Any) -> Any:
        """With what both have seen."""
        return a.merge(b)

    def compute(self, state: Any) -> jax.Array:
        """The value, as the class gives it."""
        value: jax.Array = state.compute()
        return value

    @property
    def _takes_all(self) -> bool:
        parameters = inspect.signature(self.cls.from_model_output).parameters.values()
        return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)

    def _arguments(self, output: Output) -> dict[str, Any]:
        named = dict(self.names)
        used: set[Source] = set()
        given: dict[str, Any] = {}
        if self._takes_all:
            given.update(output)
            used.add("mask")
        for name, parameter in inspect.signature(self.cls.from_model_output).parameters.items():
            source = named.get(name, name if name in output else _ALIASES.get(name, name))
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                continue
            if name in named or source in output:
                given[name] = self._from(output, source)
                used.add(source)
            elif parameter.default is parameter.empty:
                raise DataError(
                    f"{self.title} asks for {name!r}, the output of the step has only "
                    f"{', '.join(map(repr, output)) or 'nothing'}; say where it comes from: "
                    f"as_metric({self.cls.__qualname__}, names={{{name!r}: 'outputs'}})"
                )
        given |= {name: self._from(output, source) for name, source in named.items()}
        by_function = any(callable(source) for source in named.values())
        if output.get("mask") is not None and "mask" not in used and not by_function:
            raise DataError(
                f"{self.title} takes no mask, and would count rows of padding; hand it one under a "
                f"name that it has: names={{...: 'mask'}} (it has: "
                f"{', '.join(inspect.signature(self.cls.from_model_output).parameters)})"
            )
        return given

    def _from(self, output: Output, source: Source) -> Any:
        found = at(output, source, reader=self.title) if isinstance(source, str) else source(output)
        return jax.tree.map(jnp.asarray, found)

    def _counts(self, state: Any) -> Any:
        if not self.float_counts:
            return state
        return jax.tree.map(
            lambda leaf: (
                leaf.astype(jnp.float32) if jnp.issubdtype(leaf.dtype, jnp.integer) else leaf
            ),
            jax.tree.map(jnp.asarray, state),  # metrax has Python's numbers among its leaves
        )

    def _refuse_changed(self, before: Any, after: Any) -> None:
        """A state that changes its shape or dtype would not fit into a loop on the device."""
        shapes = [
            {
                jax.tree_util.keystr(path): f"{jnp.result_type(leaf)}{list(jnp.shape(leaf))}"
                for path, leaf in jax.tree_util.tree_leaves_with_path(state)
            }
            for state in (before, after)
        ]
        if shapes[0] == shapes[1]:
            return
        changes = [
            f"{path}: {shapes[0].get(path, 'nothing')} becomes {shapes[1].get(path, 'nothing')}"
            for path in shapes[0] | shapes[1]
            if shapes[0].get(path) != shapes[1].get(path)
        ]
        raise DataError(
            f"{self.title}: its state changes in an update ({'; '.join(changes)}), which a "
            "compiled loop can't carry. Where a count becomes a float, float_counts=True keeps "
            "whole numbers as float32; else give it an empty() of the shapes that it comes to"
        )


def _why_no_class(cls: type) -> str:
    name = cls.__qualname__
    if has_all(cls, *_PURE) or has_all(cls, "reset", "update", "compute"):
        return f"expected an instance, {name}(...); found the class {name}"
    if has_all(cls, "single_from_model_output"):
        return f"{name} is a collection; hand in its metrics one by one, each under its name"
    missing = ", ".join(part for part in _THEIRS if not has_all(cls, part))
    return f"the class {name} is no metric as those of clu are: it lacks {missing}"
