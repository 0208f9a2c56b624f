"""Dispatch: runs steps on the device, and owns what lives there between two events.

That is the TrainState, the states of metrics and windows, the watch for the first step that is not
finite, and the last output. The engine above it counts and fires; it never touches an array.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.engine.batches.door import refuse_unnamed
from jaxtrain.engine.batches.portion import Portion
from jaxtrain.engine.device.held_state import HeldState, kind_of
from jaxtrain.engine.device.members import Members, Order, choose_order, one_of, state_of_one
from jaxtrain.engine.device.observers import Observers
from jaxtrain.engine.device.output import Output, output_of
from jaxtrain.engine.device.packing import Packed
from jaxtrain.engine.device.program import Program, Step
from jaxtrain.engine.device.reads import on_host
from jaxtrain.engine.form import Form, choose_form
from jaxtrain.metrics import Metric


class Dispatch:
    """Runs steps and keeps what they leave on the device.

    Args:
        step: `(train_state, batch) -> (train_state, output)`, pure. None for a host engine, which
            hands in outputs that its own process function made.
        train_state: what the first step is given. It stays its owner's.
        members: of how many runs it is the state, each leaf with a first axis of so many; the step
            is that of one.
        order: in which they are computed; by default a rule chooses.

    Attributes:
        members: of how many runs the state is, and how they are computed; None for one run.
        metrics: the metrics to update after each step, by name.
        compilations: how many shapes of batch the step was compiled for so far.
        lock: held while the state is on its way; other threads may read between.
    """

    def __init__(
        self,
        step: Step | None,
        train_state: Any,
        *,
        members: int | None = None,
        order: Order | None = None,
    ) -> None:
        self._step = step
        self.members: Members | None = None
        if members is not None:
            chosen = order or choose_order(jax.default_backend())
            self.members = Members(members, chosen)
            self.members.refuse_other(train_state)
        self.metrics: dict[str, Metric[Any]] = {}
        self._windows: list[tuple[str, ...]] = []
        self._keeps: set[str] | None = set()
        self.compilations = 0
        self.lock = threading.RLock()
        self._programs: dict[Any, Program] = {}
        self._program: Program | None = (
            None  # the last one's, for the batches that `_seen_data` has
        )
        self._observers = Observers({}, (), self.members)
        self._packed: Packed | None = None  # of what was seen; None until something is asked of it
        self._state = HeldState(train_state)
        self._watched_from: int | None = None
        self._output: Callable[[], Any] = lambda: None
        self._scalars: dict[str, Any] | None = None
        self._batch_kinds: list[Any] = []
        self._seen_data: Any = None
        self._places: dict[tuple[int, int], Any] = {}
        self._wants_note = False
        self._noted: Any = None

    # -- what it is made of --------------------------------------------------------------------

    def add_metrics(self, metrics: Mapping[str, Metric[Any]]) -> None:
        """Update these, too, from the next step on."""
        self.metrics |= metrics
        self._rebuild()

    def add_window(self, names: tuple[str, ...]) -> int:
        """Keep a window of these scalars; returns its number."""
        self._windows.append(names)
        self._rebuild()
        return len(self._windows) - 1

    def keep(self, names: tuple[str, ...]) -> None:
        """Let the arrays of these entries of the output leave a dispatch; all, where it is ()."""
        if not names:
            self._keeps = None
        elif self._keeps is not None:
            self._keeps |= set(names)
        self._forget_programs()

    def _rebuild(self) -> None:
        """Other observers: what the present ones have seen is kept."""
        # What nothing has been seen by yet is not moved: that would compile five small programs.
        before = None if self._packed is None else self.seen()
        self._forget_programs()
        self._observers = Observers(self.metrics, tuple(self._windows), self.members)
        self._packed = None
        if before is not None:
            self.restore(before)

    @property
    def _seen(self) -> Packed:
        """What the observers have seen."""
        if self._packed is None:
            self._packed = self._observers.empty()
        return self._packed

    @_seen.setter
    def _seen(self, packed: Packed) -> None:
        self._packed = packed

    # -- between two events --------------------------------------------------------------------

    @property
    def train_state(self) -> Any:
        """The state after the last step. Whoever reads it may keep it; any thread may."""
        with self.lock:
            return self._state.read()

    @train_state.setter
    def train_state(self, value: Any) -> None:
        if self.members is not None:
            self.members.refuse_other(value)
        with self.lock:
            self._state, self._program = HeldState(value), None

    def borrowed_state(self) -> Any:
        """The state after the last step, for a look that is over before the next one."""
        with self.lock:
            return self._state.tree()

    @property
    def output(self) -> Any:
        """What the last step gave: an `Output` where that is a mapping."""
        return self._output()

    def put_output(self, output: Any, *, watch: bool = False) -> None:
        """Take an output that was made elsewhere, and update metrics and windows with it.

        Args:
            output: of a step.
            watch: whether its `finite` is to be watched as well.
        """
        self._output, self._scalars = (lambda: output), None
        if self.metrics or self._windows or watch:
            with jax.transfer_guard_host_to_device("allow"), self.lock:
                self._seen = self._observers.see(self._seen, output)

    def scalars(self) -> dict[str, Any]:
        """The entries of the last output that are single numbers, as Python numbers.

        Of many members as numpy arrays `[M]`.
        """
        if self._scalars is None:
            output = self._output()
            named = output if isinstance(output, Mapping) else {}
            if isinstance(output, Output):
                small = output.scalars()
            else:
                small = on_host({n: v for n, v in named.items() if np.shape(v) == self._axes})
            found = {name: np.asarray(value) for name, value in small.items()}
            self._scalars = {n: v if v.ndim else v.item() for n, v in found.items()}
        return self._scalars

    @property
    def _axes(self) -> tuple[int, ...]:
        """Those that a number of the output has."""
        return () if self.members is None else (self.members.count,)

    def reset_metrics(self) -> None:
        """Empty every metric, as at the start of an epoch."""
        with self.lock:
            self._seen = self._observers.without_metrics(self._seen)

    def compute_metrics(self) -> Callable[[], dict[str, Any]]:
        """Begin to compute the figures; the function that comes back fetches them, all at once."""
        if not self.metrics:
            return dict
        with self.lock:
            values = self._observers.compute(self._seen)
        names = tuple(self.metrics)

        def read() -> dict[str, Any]:
            fetched = on_host(values)  # sorted by name, as jax does with every dict
            plain = {n: v.item() if v.ndim == 0 else v for n, v in fetched.items()}
            return {name: plain[name] for name in names}

        return read

    def read_window(self, number: int) -> Any:
        """What a window has seen, on the host; it is empty then."""
        with self.lock:
            seen = self._observers.packing.on_host(self._seen)["windows"][number]
            self._seen = self._observers.without_window(self._seen, number)
        return seen

    def start_watch(self, iteration: int) -> None:
        """Look for steps that are not finite among those after `iteration`."""
        with self.lock:
            self._seen = self._observers.without_watch(self._seen)
        self._watched_from = iteration

    def step_left_out(self) -> None:
        """An iteration went by without its step; the watch counts iterations."""
        with self.lock:
            self._seen = self._observers.without_step(self._seen)

    def first_nonfinite(self) -> int | None:
        """The first iteration whose output said `finite: False`. Waits for the device.

        Raises:
            RuntimeError: there are many members; `nonfinite_members` tells of each.
        """
        if self.members is not None:
            raise RuntimeError(
                f"{self.members.count} members run, each of which may be finite or not; ask "
                "nonfinite_members()"
            )
        if self._watched_from is None:  # nothing ran yet
            return None
        with self.lock:
            watch = self._observers.packing.on_host(self._seen)["watch"]
        first = int(watch["first"])
        return self._watched_from + first if first else None

    def nonfinite_members(self) -> dict[int, int]:
        """By member the first iteration whose output said `finite: False`, where one did."""
        if self._watched_from is None or self.members is None:
            return {}
        with self.lock:
            watch = self._observers.packing.on_host(self._seen)["watch"]
        first = np.asarray(watch["first"])
        return {int(m): self._watched_from + int(first[m]) for m in np.flatnonzero(first)}

    def seen(self) -> dict[str, Any]:
        """What metrics and windows have seen, as a tree of arrays: `metrics`, `windows`."""
        with self.lock:
            tree = self._observers.unpack(self._seen)
        return {"metrics": tree["metrics"], "windows": tree["windows"]}

    def restore(self, seen: Mapping[str, Any]) -> None:
        """Take up what `seen` gave, as far as it is about the present metrics and windows."""
        with self.lock:
            tree = self._observers.unpack(self._seen)
            known = seen["metrics"]
            tree["metrics"] = {n: known.get(n, empty) for n, empty in tree["metrics"].items()}
            pairs = zip(seen["windows"], tree["windows"], strict=False)
            same = [a if a.keys() == b.keys() else b for a, b in pairs]
            tree["windows"] = [*same, *tree["windows"][len(same) :]]
            self._seen = self._observers.pack(tree)

    # -- steps ---------------------------------------------------------------------------------

    def choose_form(self, batch: Any) -> Form:
        """The form that the rule gives this step, here.

        Args:
            batch: a batch, or its shapes.
        """
        assert self._step is not None
        traced = self._traced(lambda step: jax.make_jaxpr(step)(self._of_one(), batch), batch)
        return choose_form(getattr(traced, "jaxpr", traced), jax.default_backend())

    def run(
        self,
        portion: Portion,
        *,
        held: AbstractContextManager[None],
        note_read: Callable[[], None],
        done: Callable[[], None],
    ) -> tuple[Any, str]:
        """Launch the steps of a portion.

        Args:
            portion: the batches.
            held: entered while the old state is gone and the new one is not there yet.
            note_read: called when somebody reads the output.
            done: called when they are launched, while it is still held: nothing can come between.

        Returns:
            An array that is there when they are done, and, where the batch's shapes were new and
            the step had to be compiled again, what changed.
        """
        program, changed = self._program_of(portion)
        if portion.get is None:
            launch, data = program.single, [portion.data]
        else:
            launch = program.loop(portion.get)
            data = [portion.data, self._place(portion.start, portion.length)]
        if self._wants_note:
            self._note_launch(launch, program, data)
        with held, self.lock:
            kept, given = program.split(self._state.leaves)
            owned = [o for o, f in zip(self._state.owned, program.fixed, strict=True) if not f]
            if not all(owned):
                # Somebody else may hold these buffers; the dispatch gives them away.
                given = [x if o else jnp.copy(x) for x, o in zip(given, owned, strict=True)]
            # The batch may come from the host: this transfer is meant.
            with jax.transfer_guard_host_to_device("allow"):
                new, self._seen, leaving = launch(kept, given, self._seen, *data)
            if given:
                self._state.replace(program.fixed, new)
            self._output = output_of(program.layout, leaving, note_read)
            self._scalars = None
            done()
        return jax.tree.leaves(leaving)[0], changed

    def note_next(self) -> None:
        """Remember the program of the next dispatch."""
        self._wants_note = True

    def noted(self) -> Any:
        """The executable of the dispatch that was remembered, or None; nothing is compiled anew."""
        return None if self._noted is None else self._noted.compile()

    def _note_launch(self, launch: Any, program: Program, data: list[Any]) -> None:
        kept, given = program.split(self._state.leaves)
        with jax.transfer_guard_host_to_device("allow"):
            self._noted = launch.lower(kept, given, self._seen, *data)
        self._wants_note = False

    def compiled(self, batch: Any, portion: Portion | None) -> Any:
        """The executable for a portion, compiled but not run; shapes are enough for the state."""
        program = self._make_program(batch, None if portion is None else portion.members)
        kept, given = program.split(self._state.leaves)
        if portion is None or portion.get is None:
            return program.single.lower(kept, given, self._seen, batch).compile()
        place = self._place(portion.start, portion.length)
        return (
            program.loop(portion.get).lower(kept, given, self._seen, portion.data, place).compile()
        )

    # -- compiling -----------------------------------------------------------------------------

    def _program_of(self, portion: Portion) -> tuple[Program, str]:
        """The program for such batches and such a state, and what is new about the batches.

        A step may do other things with other batches, and give other outputs: labels may be there
        or not, the last batch may be short. So each kind of batch has a program of its own.
        """
        if self._program is not None and portion.data is self._seen_data:
            return self._program, ""
        kind = kind_of(portion.data, axes=portion.axes, of=portion.get)
        changed = self._note(kind, portion.data)
        key = kind, self._state.kind
        program = self._programs.get(key)
        if program is None:
            program = self._programs[key] = self._prepare(portion)
        self._program = program
        # Kept for data that come again and again, as an epoch's indices; stacks do not.
        self._seen_data = portion.data if portion.get is not None and not portion.axes else None
        return program, changed

    def _forget_programs(self) -> None:
        self._programs.clear()
        self._program = None

    def _prepare(self, portion: Portion) -> Program:
        batch = portion.data if self.members is None else one_of(portion.data, portion.members)
        if portion.get is not None:
            index = jax.ShapeDtypeStruct((), np.int32)
            batch = jax.eval_shape(portion.get, batch, index)
        return self._make_program(batch, portion.members)

    def _make_program(self, batch: Any, axes: Any) -> Program:
        keeps = None if self._keeps is None else frozenset(self._keeps)
        make = partial(Program, keeps=keeps, members=self.members, axes=axes)
        return self._traced(
            lambda step: make(step, self._observers, self._state.tree(), batch), batch
        )

    def _of_one(self) -> Any:
        """The state that a step is given, or its shapes."""
        state = self._state.tree()
        return state if self.members is None else state_of_one(state)

    def _traced(self, trace: Callable[[Step], Any], batch: Any) -> Any:
        """Trace the step; where it can't take a batch without names, say what to do about it."""
        assert self._step is not None
        try:
            jax.eval_shape(self._step, self._of_one(), batch)
        except (TypeError, AttributeError, IndexError, KeyError):
            refuse_unnamed(batch)
            raise
        return trace(self._step)

    def _place(self, start: int, length: int) -> Any:
        """Where a portion lies, as an array on the device; the same few come up every epoch."""
        found = self._places.get((start, length))
        if found is None:
            if len(self._places) >= 4096:
                self._places.clear()
            found = np.array([start, length], np.int32)
            if jax.process_count() == 1:  # a program of several takes it from each of them
                found = jax.device_put(found)
            self._places[start, length] = found
        return found

    def _note(self, kind: Any, data: Any) -> str:
        """What is new about a kind of batches, or "" where it was seen before, or is the first."""
        if kind in self._batch_kinds:
            return ""
        self._batch_kinds.append(kind)
        self.compilations += 1
        if self.compilations == 1:
            return ""
        old, new = self._batch_kinds[-2], kind
        if old[:2] != new[:2]:
            return "another structure of batch"
        paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(data)]
        return ", ".join(
            f"{jax.tree_util.keystr(path)}: {_show(a)} -> {_show(b)}"
            for path, a, b in zip(paths, old[2], new[2], strict=True)
            if a != b
        )


def _show(shape_and_dtype: Any) -> str:
    shape, dtype = shape_and_dtype
    return f"{dtype}{list(shape)}"
