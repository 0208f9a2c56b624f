"""The parameters of another run, to begin with.

    start: {path: runs/digits/seed0-1a2b3c4d}        # or one of its checkpoints

    filled(tree)                                     # with the digest of what is there
    checkpoint_of(config.start).path

The digest decides what a run is, not the path: a run can be moved together with the one that it
began with, and goes on without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from jaxtrain.checkpoint import Saved
from jaxtrain.checkpoint.manifest import manifest_digest
from jaxtrain.checkpoint.saved import committed, read_saved
from jaxtrain.config import ConfigDict, merge
from jaxtrain.config.schema import StartSection
from jaxtrain.config.tree import Tree
from jaxtrain.errors import CheckpointError, ConfigError
from jaxtrain.files.paths import typed_path
from jaxtrain.run.found import find_checkpoint

_HINT = (
    "a run that was begun goes on without what it began with: give its directory, not the config"
)


def filled(tree: Tree) -> Tree:
    """The tree, with the digest of what its `start` means where it does not say one.

    Raises:
        ConfigError: that is no run, nor a checkpoint.
        CheckpointError: it can't be read.
    """
    start = tree.get("start")
    if isinstance(start, str):
        start = {"path": start}
        tree = merge({**tree, "start": start})
    if not isinstance(start, Mapping | ConfigDict) or not isinstance(start.get("path"), str):
        return tree  # the schema says what is wrong with it
    if start.get("digest") is not None:
        return tree
    return merge(tree, {"start": {"digest": manifest_digest(_found(start["path"]).path)}})


def checkpoint_of(section: StartSection) -> Saved:
    """The checkpoint that a run begins with.

    Raises:
        ConfigError: it is not there, or is another one than the config says.
        CheckpointError: it can't be read.
    """
    found = _found(section.path)
    if section.digest is not None:
        now = manifest_digest(found.path)
        if now != section.digest:
            raise ConfigError(
                f"start.path: {found.path} is not what the config says: expected the digest "
                f"{section.digest}, found {now}; leave start.digest out to begin with what is "
                "there now, which is another run"
            )
    return found


def record_of(section: StartSection) -> Saved | None:
    """The same, where it is there; only what it says of itself is read, and no digest compared.

    Returns:
        None where there is no checkpoint of that digest; `checkpoint_of` says why.
    """
    path = typed_path(section.path, what="start.path")
    paths = [path] if (path / "meta.json").is_file() else committed(path / "checkpoints")
    for each in reversed(paths):
        with suppress(CheckpointError):
            if manifest_digest(each) == section.digest:
                return read_saved(each)
    return None


def _found(path: str) -> Saved:
    try:
        return find_checkpoint(typed_path(path, what="start.path"))
    except ConfigError as error:
        raise ConfigError(f"start.path: {error}; {_HINT}") from None
