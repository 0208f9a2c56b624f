"""What a run begins with: where its parameters come from, and what of them is trained.

    parameters = Parameters(model=model, base=base, adapter=LoRAConfig(rank=8))
    parameters.reads_files                          # nothing is read yet
    parameters.begin(batch, rng)                    # {"params": adapter, "frozen": parameters}

The parameters of the base come from files, from another run or from a key; an adapter is made for
them, and is then what is trained.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import optax
from jax.sharding import NamedSharding

from jaxtrain import lora
from jaxtrain.checkpoint.manifest import manifest_digest
from jaxtrain.config.schema import StartSection
from jaxtrain.errors import ConfigError, DataNotFoundError
from jaxtrain.lora import Adapter, LoRAConfig, Protection
from jaxtrain.models import Model
from jaxtrain.models.quantized import Bits
from jaxtrain.parallel.layout import Layout, put
from jaxtrain.run.checksum import checksum
from jaxtrain.run.start import checkpoint_of, record_of
from jaxtrain.run.trained import Trained, form_of
from jaxtrain.step import TrainState, create_train_state

logger = logging.getLogger(__name__)

_ADAPTER = 0x10A
"""What sets the key of an adapter's beginning apart from that of its base."""


def starting_from(model: Model, section: StartSection) -> Model:
    """`model`, whose parameters are loaded from the checkpoint that `section` names.

    What an adapter has learnt there is merged into its base.
    """

    def load() -> Any:
        return Trained.load(checkpoint_of(section).path).merged()

    def digests() -> dict[str, str]:
        found = checkpoint_of(section)
        return {found.path.name: manifest_digest(found.path)}

    def load_on(shardings: Any) -> Any:
        mesh = jax.tree.leaves(shardings)[0].mesh
        found = Trained.load(checkpoint_of(section).path, layout=Layout(mesh, model.layout))
        return jax.tree.map(put, found.merged(), shardings)

    return dataclasses.replace(model, load=load, load_on=load_on, digests=digests)


def earlier_adapters(start: StartSection) -> list[Adapter]:
    """Of the run that one begins with, of the run which that one began with, and so on.

    Raises:
        ConfigError: one of them is gone, or is not what the config of the one behind it says.
    """
    found: list[Adapter] = []
    section: StartSection | None = start
    while section is not None:
        trained = Trained.load(checkpoint_of(section).path)
        if (adapter := trained.adapter()) is not None:
            found.append(adapter)
        section = _before(trained)
    return found


def _before(trained: Trained) -> StartSection | None:
    """What a run began with, where both were moved together: as it lay beside the run."""
    start, workdir = trained.config.start, trained.config.workdir
    if start is None or workdir is None or Path(start.path).exists():
        return start
    beside = os.path.relpath(os.path.abspath(start.path), os.path.abspath(workdir))
    now = Path(os.path.normpath(trained.path.parent.parent.absolute() / beside))
    return start.model_copy(update={"path": str(now)}) if now.exists() else start


@dataclass(frozen=True, eq=False)
class Parameters:
    """Where the parameters come from.

    Args:
        model: what is trained.
        base: the same, or the model that an adapter stands beside.
        adapter: what that adapter is; None where the base itself is trained.
        whose: what messages call the base.
        protection: of what was learnt before.
        quantize: in how few bits the base's kernels are held.
        start: the run that the base comes from, where it comes from one.
    """

    model: Model
    base: Model
    adapter: LoRAConfig | None = None
    whose: str = "the model"
    protection: Protection | None = None
    quantize: Bits | None = None
    start: StartSection | None = None

    @property
    def reads_files(self) -> bool:
        """Whether something is read when a run begins."""
        return self.base.load is not None

    @property
    def digests(self) -> Callable[[], Mapping[str, str]] | None:
        """Says which files these are, where there are some."""
        return self.base.digests

    def begin(self, batch: Any, rng: jax.Array, expected: TrainState) -> dict[str, Any]:
        """`params`, and `frozen` where there is some, as `create_train_state` takes them; and
        `model_state` where another run had some, such as running means.

        Empty where the model makes all of it itself.

        Args:
            batch: for its shapes.
            rng: the run's key: what is not read from files, and the adapter, depend on it.
            expected: the shapes and dtypes of the TrainState.

        Raises:
            ConfigError: files are not there, or are those of another model.
            DataError: they are broken.
        """
        carried = self._carried(expected.model_state)
        if self.adapter is None:
            if self.base.load is None:
                return {}
            params = self._loaded(expected)
            self._refuse_others(params, self._of_model(expected))
            return {"params": params, **carried}
        floats = self._of_base(batch, rng, expected)
        self._refuse_others(floats, self._of_model(expected))
        params = floats
        if self.quantize is not None:
            params = lora.quantize(floats, self.quantize, self.adapter)
        # Phases have one seed. With the same a in each, a new update would begin in the very inputs
        # that the last one has used; so what is drawn depends on what it is drawn for.
        key = jax.random.fold_in(jax.random.fold_in(rng, _ADAPTER), checksum(floats))
        base, adapter = lora.add_lora(params, self.adapter, rng=key)
        earlier = self._earlier()
        frozen = lora.frozen_for(base, self.adapter, self.protection, earlier=earlier)
        return {"params": adapter, "frozen": frozen, **carried}

    def reading_once(self) -> Parameters:
        """The same, for several beginnings: files are read for the first, and its base is kept."""
        load = self.base.load
        if load is None:
            return self
        return dataclasses.replace(
            self, base=dataclasses.replace(self.base, load=functools.cache(load))
        )

    def refuse_others(self, expected: TrainState) -> None:
        """Refuse what `begin` would, as far as headers say it: another model's parameters.

        What is not there is left to `begin`: who goes on does not need it.

        Args:
            expected: the shapes and dtypes of the TrainState.

        Raises:
            ConfigError: they are those of another model.
            CheckpointError: what `start` names is no checkpoint of a run.
        """
        if self.start is not None:
            if (record := record_of(self.start)) is not None:
                params, collections = form_of(record)
                self._refuse_others(params, self._of_model(expected))
                if expected.model_state:
                    self._refuse_others(collections, expected.model_state)
        elif self.base.refuse_others is not None:
            with contextlib.suppress(DataNotFoundError):
                self.base.refuse_others()

    def _of_model(self, expected: TrainState) -> Any:
        """The parameters of the model, whether they are trained or an adapter beside them is."""
        if self.adapter is None:
            return expected.params
        base = lora.base_of(expected.frozen, self.protection)
        return base if self.quantize is None else jax.eval_shape(lora.dequantize, base)

    def _carried(self, expected: Any) -> dict[str, Any]:
        """What the run before has beside its parameters: they are of no use without it."""
        if self.start is None or not expected:
            return {}
        found = Trained.load(checkpoint_of(self.start).path).state.model_state
        self._refuse_others(found, expected)
        return {"model_state": found}

    def _earlier(self) -> list[Adapter]:
        """The adapters of the runs before, the last one first, where they are to be kept clear of.

        Raises:
            ConfigError: one of the runs is gone.
        """
        if self.protection is None or not self.protection.orthogonal:
            return []
        return [] if self.start is None else earlier_adapters(self.start)

    def _loaded(self, expected: TrainState) -> Any:
        """What the files have; on a mesh where it is to lie, if the model can read it so."""
        assert self.base.load is not None
        layout = self._layout(expected)
        if layout is None or self.base.load_on is None:
            return self.base.load()
        return self.base.load_on(layout.of(self._of_model(expected)))

    def _layout(self, expected: TrainState) -> Layout | None:
        """How the base lies, where the state is to lie on a mesh."""
        places = (getattr(leaf, "sharding", None) for leaf in jax.tree.leaves(expected))
        mesh: Any = next((place.mesh for place in places if isinstance(place, NamedSharding)), None)
        return None if mesh is None else Layout(mesh, self.base.layout)

    def _of_base(self, batch: Any, rng: jax.Array, expected: TrainState) -> Any:
        if self.base.load is not None:
            return self._loaded(expected)
        logger.warning(
            "lora: the base has learnt nothing, its parameters are drawn from the seed; set "
            "start.path to a run, or model.weights to files"
        )

        def make(batch: Any, rng: jax.Array) -> Any:
            # What a run without an adapter would begin with.
            return create_train_state(self.base, optax.identity(), batch, rng=rng).params

        layout = self._layout(expected)
        return make(batch, rng) if layout is None else layout.create(make, batch, rng)

    def _refuse_others(self, params: Any, expected: Any) -> None:
        """See that what was loaded is what the model would make: a checkpoint is read as that."""
        found, wanted = (
            {
                jax.tree_util.keystr(path, simple=True, separator="/"): f"{x.dtype}{list(x.shape)}"
                for path, x in jax.tree_util.tree_leaves_with_path(tree)
            }
            for tree in (params, expected)
        )
        wrong = [
            f"{name}: expected {wanted.get(name, 'none')}, found {found.get(name, 'none')}"
            for name in wanted | found
            if wanted.get(name) != found.get(name)
        ]
        if wrong:
            raise ConfigError(
                f"{self.whose}: what is loaded is not of the form that its `init` makes:\n  "
                + "\n  ".join(wrong)
            )
