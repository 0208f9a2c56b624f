"""Names and texts as MLflow takes them: what it does not take gets another name, never the same.

>>> metric_name("val/loss"), metric_name("100 %"), metric_name("../x")
('val/loss', '100 _-5e1636c0', '___x-d6b96a97')
"""

from __future__ import annotations

import hashlib
import posixpath
import re

KEY = 250
"""Characters of a key, of whatever kind."""

PARAM = 6000
"""Characters of a param's value."""

TAG = 5000
"""Characters of a tag's value that every store of MLflow has room for."""

# Without the colon, which servers on Windows refuse.
_TAKEN = re.compile(r"[/\w.\- ]+")


def metric_name(name: str, identity: str | None = None) -> str:
    """A name that any server takes, for a metric or a param.

    Args:
        name: what it is called here.
        identity: what it is, where the name alone does not say that: it always goes into the
            result then.

    Returns:
        The name itself, or where MLflow would refuse it, a readable part of it and a digest: two
        names never become one.
    """
    fits = len(name) <= KEY and bool(_TAKEN.fullmatch(name)) and _is_path(name)
    if fits and identity is None:
        return name
    digest = hashlib.sha256((identity or name).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    readable = re.sub(r"[^/\w.\- ]", "_", name)[: KEY - 9]
    if not _is_path(readable):
        readable = re.sub(r"[^\w\- ]", "_", readable)
    return f"{readable}-{digest}"


def plain_text(text: str) -> str:
    """A text that can be sent and stored: half characters and NULs written out."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _is_path(name: str) -> bool:
    """Whether it is a path in its shortest form, which stays where it is."""
    return posixpath.normpath(name) == name and not name.startswith(("..", "/")) and name != "."
