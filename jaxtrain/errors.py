"""Every error that jaxtrain raises on purpose, in one tree.

    JaxtrainError                     exit code 1
    ├── ConfigError                   2   a key, value or path in the configuration is wrong
    │   ├── UnknownNameError          2   a name that no registry knows
    │   ├── OptionsError              2   options of a component, each with what is wrong with it
    │   ├── FrozenConfigError         2   a write to a frozen config
    │   └── DataNotFoundError         2   a data file is missing and could not be fetched
    ├── DataError                     3   a data file or batch was found but is not what it must be
    ├── WorkerError                   1   a process that reads data died
    ├── NonFiniteError                3   NaN or Inf in the loss or the gradient
    ├── TrackingError                 1   what was logged can't be: another step, name or value
    ├── ServerError                   1   a tracking server refuses what it was asked
    │   └── UnreachableError          1   or does not answer: another try may succeed
    ├── CheckpointError               4   a checkpoint could not be written or read
    │   └── CheckpointMismatchError   2   a checkpoint of another model, optimizer or data set
    ├── PeerError                    75   another process of the run is gone, or came too late
    ├── Interrupted                  75   a handler could not finish, since the run is to stop
    └── Preempted                    75   stopped by a signal or time limit; run it again to go on

`ConfigError` is also a `ValueError`, `FrozenConfigError` an `AttributeError` and
`DataNotFoundError` a `FileNotFoundError`, so code that knows only Python's own errors can still
catch them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


class JaxtrainError(Exception):
    """Root of the tree. `exit_code` is what the command line returns for it."""

    exit_code = 1


class ConfigError(JaxtrainError, ValueError):
    """The configuration is wrong. Nothing was touched yet, on the device or on disk."""

    exit_code = 2


class UnknownNameError(ConfigError):
    """A component name that no registry knows."""


class OptionsError(ConfigError):
    """Options of a component are wrong, by what the component knows.

    Args:
        problems: what is wrong, by the option's key, dotted where it is inside of an option.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(f"{key}: {text}" for key, text in self.problems.items())


class FrozenConfigError(ConfigError, AttributeError):
    """A write to a config that was frozen; the message says where it was frozen."""


class DataNotFoundError(ConfigError, FileNotFoundError):
    """A data file is missing, and no mirror supplied it."""


class DataError(JaxtrainError, ValueError):
    """Data that exists but is broken: truncated, corrupt, out of range."""

    exit_code = 3


class WorkerError(JaxtrainError, RuntimeError):
    """A process that reads data for this one has died."""


class NonFiniteError(JaxtrainError, ArithmeticError):
    """NaN or Inf in the loss or the gradient. The update was not applied."""

    exit_code = 3


class TrackingError(JaxtrainError, ValueError):
    """What was logged can't be: a step before the last one, a name or value that is none.

    Nothing of it was written.
    """


class ServerError(JaxtrainError):
    """A tracking server refuses what it was asked, or can't be asked. What is here is whole."""


class UnreachableError(ServerError):
    """No answer came, or the server had too much to do: another try may succeed."""


class CheckpointError(JaxtrainError):
    """A checkpoint could not be written or read."""

    exit_code = 4


class CheckpointMismatchError(CheckpointError):
    """The checkpoint belongs to another model, optimizer or data set."""

    exit_code = 2


class PeerError(JaxtrainError):
    """Another process of the run is gone, or did not come in time; running all again goes on."""

    exit_code = 75


class Interrupted(JaxtrainError):
    """Raised by a handler of EPOCH_COMPLETED that can't finish, since the run is to stop.

    The engine catches it. It then stands where it stood before the event, which the continued run
    fires anew.
    """

    exit_code = 75


class Preempted(JaxtrainError):
    """Stopped by a signal or a time limit, and saved; running it again continues it."""

    exit_code = 75


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'adamw'?"` for the nearest known name, or `""` where none is near.

    >>> did_you_mean("adamv", ["sgd", "adamw"])
    "; did you mean 'adamw'?"
    >>> did_you_mean("zebra", ["sgd", "adamw"])
    ''
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
