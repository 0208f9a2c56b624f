"""The door of the command line: words in, an exit code out.

    python -m jaxtrain.main --config configs/digits.py --config.train.epochs=5
    python -m jaxtrain.main evaluate --checkpoint runs/digits/seed0-1a2b3c4d
    python -m jaxtrain.main check --config configs/mnist_mlp.py
    python -m jaxtrain.main checkpoints runs/digits/seed0-1a2b3c4d

Exit codes: 0 done, 1 a check failed or an unforeseen error, 2 a wrong config, path or argument, or
a run directory that another process has, 3 NaN or broken data, 4 a full disk, or no checkpoint
could be written or read, 75 stopped by a signal or a time limit and saved: the same command goes
on.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

# None of these imports jax, or anything else that takes its time: see `cli/command.py`.
from jaxtrain.cli.commands import COMMANDS
from jaxtrain.cli.printing import error_line
from jaxtrain.cli.words import parse_words
from jaxtrain.errors import CheckpointError, JaxtrainError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    logging.getLogger("jaxtrain").setLevel(logging.INFO)
    try:
        if not words or words[0] not in (*COMMANDS, "-h", "--help", "--version"):
            words = ["train", *words]
        options, overrides = parse_words(words)
        return COMMANDS[options.command].run(options, overrides)
    except JaxtrainError as error:
        print(error_line(error), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # `| head` has seen enough; Python must not try to flush to it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a full disk, a lost mount: not a fault of the program
        print(f"storage error: {error}", file=sys.stderr)
        return CheckpointError.exit_code
    except KeyboardInterrupt:
        print("stopped at once; the last checkpoint is where the run can go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
