"""`watch`: the page of a run in the browser, while the run goes on.

jaxtrain watch RUN
jaxtrain watch seed0-1a --port 8000 --no-browser
"""

from __future__ import annotations

import argparse
import os
import sys

from jaxtrain.cli.command import Command
from jaxtrain.errors import ConfigError


def _add_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", metavar="RUN", help="a run: its path, its id, or the beginning of one"
    )
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="of this machine; by default a free one"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="say where the page is, and open no browser"
    )


def _watch(options: argparse.Namespace, overrides: list[str]) -> int:
    if overrides:
        raise ConfigError(f"watch: takes no --config, found --config.{overrides[0]}")
    from jaxtrain.report import PageServer
    from jaxtrain.tracking import one_run

    record = one_run(options.run)
    with PageServer(record.path, port=options.port) as server:
        print(f"{record.project}/{record.id}: {server.url} (Ctrl-C ends this)", flush=True)
        if not options.no_browser and _has_screen():
            import webbrowser

            webbrowser.open(server.url)
        server.serve_forever()
    return 0


def _has_screen() -> bool:
    """Whether there is one: without, a browser in the terminal would take that over."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform == "darwin" or any(os.environ.get(name) for name in screens)


COMMAND = Command("show the page of a run while it goes on, on this machine", _add_words, _watch)
