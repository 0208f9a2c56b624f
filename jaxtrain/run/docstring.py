"""A docstring in Google's style, taken apart.

    said = Docstring.of(inspect.getdoc(mlp))
    said.summary                        # "A multi-layer perceptron on inputs `[B, ...]`, ..."
    said.arguments["hidden"]            # "the width of each hidden layer; `()` makes a ..."

What a component says of itself is what `jaxtrain list` shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SECTION = re.compile(
    r"^(Args|Arguments|Attributes|Returns|Yields|Raises|Example|Examples|Note|Notes):\s*$"
)
_ARGUMENT = re.compile(r"^(?P<name>\*{0,2}\w+)(?:\s*\([^)]*\))?:(?:\s+(?P<text>.*))?$")


@dataclass(frozen=True)
class Docstring:
    """What it says.

    Args:
        summary: its first line.
        text: the paragraphs behind that, before the first section; each on one line, unless some
            of its lines are indented or are items of a list.
        arguments: what the section "Args" says of each, on one line.
    """

    summary: str
    text: str
    arguments: Mapping[str, str]

    @classmethod
    def of(cls, doc: str | None) -> Docstring:
        """Take apart what `inspect.getdoc` returns; None is an empty one.

        >>> Docstring.of("Adds.\\n\\nArgs:\\n    a: one,\\n        or more.\\n").arguments
        {'a': 'one, or more.'}
        """
        lines = (doc or "").splitlines()
        heads = [at for at, line in enumerate(lines) if _SECTION.match(line)]
        # Examples at the end are for those who read the code.
        prompt = next((at for at, line in enumerate(lines) if line.startswith(">>>")), len(lines))
        end = min([*heads, prompt])
        before = lines[1:end]
        return cls(
            summary=lines[0].strip() if lines else "",
            text="\n\n".join(map(_on_one_line, re.split(r"\n\s*\n", "\n".join(before).strip()))),
            arguments=_arguments(lines, heads),
        )


def _on_one_line(paragraph: str) -> str:
    lines = paragraph.splitlines()
    laid_out = any(line.startswith((" ", "\t", "- ", "* ", "|")) for line in lines)
    return paragraph if laid_out else " ".join(lines)


def _arguments(lines: list[str], heads: list[int]) -> dict[str, str]:
    found: dict[str, str] = {}
    at = next((at for at in heads if lines[at].startswith("Arg")), None)
    if at is None:
        return found
    depth = None
    name = ""
    for line in lines[at + 1 :]:
        if line and not line.startswith(" "):
            break
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        depth = indent if depth is None else depth
        match = _ARGUMENT.match(line.strip()) if indent == depth else None
        if match:
            name = match["name"].lstrip("*")
            found[name] = match["text"] or ""
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found
