"""What a fault test does to the process it spawns, before the command line runs in it.

Each function changes one thing of the library from outside: the library itself has no switch that
makes it fail.
"""

from __future__ import annotations

import functools
import gc
import os
import signal
import sys
import threading
import time
from pathlib import Path


def kill_at(target: str, nth: int = 1, when: str = "before") -> None:
    """SIGKILL to this process before, after or in the middle of the nth call of a function.

    Args:
        target: `module:function`, or `module:Class.method`.
        nth: which call.
        when: "before", "after", or "within": 2 ms after it began.
    """

    def around(function, count, args, kwargs):
        if count != nth:
            return function(*args, **kwargs)
        if when == "before":
            _die()
        if when == "within":
            threading.Timer(0.002, _die).start()
        result = function(*args, **kwargs)
        if when == "after":
            _die()
        return result

    _wrap(target, around)


def fail_at(target: str, nth: int = 1, message: str = "injected") -> None:
    """OSError from the nth call of a function."""

    def around(function, count, args, kwargs):
        if count == nth:
            raise OSError(5, message)
        return function(*args, **kwargs)

    _wrap(target, around)


def hold_at(target: str, path: str, nth: int = 1) -> None:
    """Make the file `path` when the nth call of a function begins, and stay there until it is gone.

    By then all is written that was being saved in the background.
    """

    def around(function, count, args, kwargs):
        if count == nth:
            _end_saves()
            _hold(path)
        return function(*args, **kwargs)

    _wrap(target, around)


def ignore_hangup() -> None:
    """As `nohup` does."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def interrupt_at(iteration: int) -> None:
    """Ask the trainer to stop after an iteration, as a signal would."""
    on_iteration(iteration, lambda engine: engine.interrupt())


def poison_at(iteration: int) -> None:
    """Make every parameter NaN after an iteration."""
    import jax

    def poison(engine):
        state = engine.state.train_state
        bad = jax.tree.map(lambda p: p * float("nan"), state.params)
        engine.state.train_state = state.replace(params=bad)

    on_iteration(iteration, poison)


def nan_gradients() -> None:
    """A loss that stays finite, and whose gradient is NaN in a batch with padding in it."""
    import jax.numpy as jnp

    def around(function, count, args, kwargs):
        loss = function(*args, **kwargs)

        def treacherous(outputs, batch):
            total, weight = loss(outputs, batch)
            padded = (batch["row_mask"].min() == 0).astype(jnp.float32)
            zero = (outputs * 0).sum()
            # The root of 0 is 0, its slope is infinite: 0 * inf is NaN.
            return total + jnp.sqrt(zero * zero + 1 - padded) - (1 - padded), weight

        return treacherous

    _wrap("jaxtrain.run.figures:LOSSES.build", around)


def on_iteration(iteration: int, action) -> None:
    from jaxtrain.engine import Events

    def around(function, count, args, kwargs):
        function(*args, **kwargs)
        trainer = args[0].trainer
        trainer.attach_handler(Events.ITERATION_COMPLETED(once=iteration), action)

    _wrap("jaxtrain.run.experiment:Experiment.__init__", around)


def hold_evaluation(path: str, nth: int = 1) -> None:
    """Make the file `path` behind the first batch of the nth evaluation; stay until it is gone."""
    from jaxtrain.engine import Events

    def hold():
        _hold(path)
        time.sleep(1)  # longer than an evaluation goes without a look at the trainer

    def around(function, count, args, kwargs):
        _, evaluator, *_ = args
        if count != nth:
            return function(*args, **kwargs)
        with evaluator.attach_handler(Events.ITERATION_COMPLETED(once=1), hold):
            return function(*args, **kwargs)

    _wrap("jaxtrain.hooks.validation:run_unless_stopping", around)
    sys.modules["jaxtrain.run.experiment"].run_unless_stopping = sys.modules[
        "jaxtrain.hooks.validation"
    ].run_unless_stopping


def variable(name: str, value: str) -> None:
    """An environment variable."""
    os.environ[name] = value


def cores(count: int) -> None:
    """As `taskset` does: only so many cores, before anything asks how many there are."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def setting(name: str, value: object) -> None:
    """A setting of jax."""
    import jax

    jax.config.update(name, value)


def forbid_pickle() -> None:
    """Exit with 99 as soon as an unpickler looks up a class or function, wherever that is."""

    def watch(event, arguments):
        if event == "pickle.find_class":
            print("unpickled:", arguments, file=sys.stderr, flush=True)
            os._exit(99)

    sys.addaudithook(watch)


def streamed(stall_at: int = 0, path: str = "") -> None:
    """Batches come from a loader that does not offer its arrays; one holds, at the file `path`."""

    class Streamed:
        def __init__(self, loader):
            self._loader = loader
            self._given = 0

        batch_size = property(lambda self: self._loader.batch_size)
        steps_per_epoch = property(lambda self: self._loader.steps_per_epoch)

        def fingerprint(self):
            return self._loader.fingerprint()

        def example(self):
            return self._loader.example()

        def start(self, epoch=0):
            return self._loader.start(epoch)

        def batches(self, cursor=None):
            return self._counted(self._loader.batches(cursor))

        def _counted(self, items):
            for item in items:
                self._given += 1
                if self._given == stall_at:
                    _hold(path)
                yield item

        def __iter__(self):
            return iter(self._loader)

    def around(function, count, args, kwargs):
        function(*args, **kwargs)
        args[0].loader = Streamed(args[0].loader)  # what its `train` hands to the trainer

    _wrap("jaxtrain.run.experiment:Experiment.__init__", around)


def pretend(path: str, value: object) -> None:
    """Put a value in the place of a name, as a changed environment would."""
    module, _, name = path.partition(":")
    setattr(sys.modules[module], name, value)


def _hold(path: str) -> None:
    """Make a file and wait until somebody deletes it; for good where nobody does."""
    Path(path).touch()
    until = time.monotonic() + 600
    while os.path.exists(path) and time.monotonic() < until:
        time.sleep(0.005)


def _end_saves() -> None:
    from jaxtrain.checkpoint import CheckpointStore

    for store in [one for one in gc.get_objects() if type(one) is CheckpointStore]:
        store.wait()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _wrap(target: str, around) -> None:
    module_name, _, path = target.partition(":")
    __import__(module_name)
    holder = sys.modules[module_name]
    *parts, name = path.split(".")
    for part in parts:
        holder = getattr(holder, part)
    function = getattr(holder, name)
    calls = 0

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        nonlocal calls
        calls += 1
        return around(function, calls, args, kwargs)

    setattr(holder, name, wrapped)
