"""The door of the command line: words in, an exit code out.

    python -m jaxtrain.main configs/digits.py --config.train.epochs=5
    python -m jaxtrain.main evaluate runs/digits/seed0-1a2b3c4d
    python -m jaxtrain.main check configs/mnist_mlp.py
    python -m jaxtrain.main checkpoints runs/digits/seed0-1a2b3c4d
    python -m jaxtrain.main list models

Exit codes: 0 done, 1 a check failed or an unforeseen error, 2 a wrong config, path or argument, or
a run directory that another process has, 3 NaN or broken data, 4 a full disk, or no checkpoint
could be written or read, 75 stopped by a signal or a time limit and saved: the same command goes
on. Whatever goes wrong is said in a line or a few; `--traceback`, or JAXTRAIN_TRACEBACK=1, shows
where it came from.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence

# None of these imports jax, or anything else that takes its time: see `cli/command.py`.
from jaxtrain.cli.commands import COMMANDS
from jaxtrain.cli.failures import exit_code, failure_line
from jaxtrain.cli.huge_pages import begin_anew_with_huge_pages
from jaxtrain.cli.streams import open_missing, unbreakable
from jaxtrain.cli.words import OF_NO_COMMAND, parse_words
from jaxtrain.errors import CheckpointError

SHOW_TRACEBACK = "JAXTRAIN_TRACEBACK"


def program() -> int:
    """`main` of a process that is there for it alone."""
    others = {name.split()[0] for name, command in COMMANDS.items() if not command.trains}
    first = next(iter(sys.argv[1:]), "train")
    if first not in {*others, *OF_NO_COMMAND}:
        begin_anew_with_huge_pages()
    return main()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Raises:
        SystemExit: of `--help` and `--version`, with 0.
    """
    open_missing()
    with unbreakable() as lost:
        code = _main(list(sys.argv[1:] if argv is None else argv), lost)
        # Where this process is one of several they part here, whatever the end was.
        hosts = sys.modules.get("jaxtrain.parallel.hosts")
        return code if hosts is None else int(hosts.finish(code))


def _main(words: list[str], lost: Callable[[], OSError | None]) -> int:
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    logging.getLogger("jaxtrain").setLevel(logging.INFO)
    try:
        options, overrides = parse_words(words)
    except Exception as error:
        return _fail(error, words)
    try:
        command = COMMANDS[options.command]
        code = command.run(options, overrides)
        return CheckpointError.exit_code if command.prints and lost() else code
    except (Exception, SystemExit) as error:  # a hook that calls sys.exit(0) has not trained
        return _fail(error, words)
    except KeyboardInterrupt:
        trains = options.command == "train"
        more = "; the run goes on from its last checkpoint" if trains else ""
        print(f"stopped at once{more}", file=sys.stderr)
        return 130


def _fail(error: BaseException, words: Sequence[str]) -> int:
    if "--traceback" in words or os.environ.get(SHOW_TRACEBACK, "") not in ("", "0"):
        traceback.print_exception(error)
    print(failure_line(error), file=sys.stderr)
    return exit_code(error)


if __name__ == "__main__":
    sys.exit(program())
