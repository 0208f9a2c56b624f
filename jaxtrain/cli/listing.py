"""`list`: what a config can name, and with which options.

jaxtrain list                    # every component, a line each
jaxtrain list models             # their options
jaxtrain list data csv           # one, with all that it says of itself
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from jaxtrain.cli.command import Command
from jaxtrain.cli.configured import add_plugin_words
from jaxtrain.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from jaxtrain.run.catalogue import Component, Option


def _add_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind",
        nargs="?",
        metavar="KIND",
        help="models, optimizers, schedules, losses, metrics, hooks or data",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="one of them")
    add_plugin_words(parser)


def _list(options: argparse.Namespace, overrides: list[str]) -> int:
    if overrides:
        raise ConfigError(f"list: takes no --config, found --config.{overrides[0]}")
    from jaxtrain.config import import_plugin
    from jaxtrain.run.catalogue import KINDS, catalogue, component, section_called

    for plugin in options.plugin:
        import_plugin(plugin)
    if options.kind is None:
        for kind, section in KINDS.items():
            _show_names(kind, catalogue(section))
        return 0
    section = section_called(options.kind)
    if options.name is None:
        found = catalogue(section)
        for one in found:
            _show_options(one)
        _show_common(found)
    else:
        _show_whole(section, component(section, options.name))
    return 0


def _show_names(kind: str, found: list[Component]) -> None:
    table = _table()
    for one in found:
        table.add_row(one.name, _said(one))
    _say(kind)
    _show(table)


def _show_options(one: Component) -> None:
    _say(f"{one.name}: {_said(one)}")
    table = _table()
    for option in one.options:
        if not option.common:
            table.add_row(option.name, option.takes, _default(option))
    _show(table)


def _show_common(found: list[Component]) -> None:
    common = [option for option in found[0].options if option.common] if found else []
    if common:
        table = _table()
        for option in common:
            table.add_row(option.name, option.takes, _default(option))
        _say("each of them:")
        _show(table)


def _show_whole(section: str, one: Component) -> None:
    _say(f"{one.name}: {one.docs.summary}")
    if one.docs.text:
        _say(f"\n{one.docs.text}")
    _say("")
    table = _table()
    for option in one.options:
        takes = f"{option.takes}; {_default(option)}"
        table.add_row(option.name, f"{option.says}\n{takes}" if option.says else takes)
    _show(table)
    key = f"{section}.{one.name}" if section in ("hooks", "metrics") else section
    print(f"in a config: the section {key}; from {one.place}")


def _default(option: Option) -> str:
    return "required" if option.default is None else f"default {option.default}"


def _said(one: Component) -> str:
    """Its first line, and the file that it is from where that is not jaxtrain's own."""
    said = one.docs.summary or "(says nothing of itself)"
    return said if one.place.startswith("jaxtrain.") else f"{said} [{one.place}]"


def _table() -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE if sys.stdout.isatty() else None, show_header=False, pad_edge=True)
    table.add_column(no_wrap=True)
    for _ in range(2):
        table.add_column(overflow="fold")
    return table


def _show(table: Table) -> None:
    _say(table if table.row_count else "")
    if table.row_count:
        print()


def _say(what: str | Table) -> None:
    """Print in the width of the terminal, 80 characters in a pipe, and no blanks at the ends."""
    from rich.console import Console

    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
    with console.capture() as caught:
        console.print(what)
    for line in caught.get().rstrip("\n").split("\n"):
        print(line.rstrip())


COMMAND = Command("what a config can name: components, and their options", _add_words, _list)
