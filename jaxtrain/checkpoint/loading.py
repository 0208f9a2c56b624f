"""From the files of a checkpoint to a tree like a template.

tree, saved = load_tree(path, {"train_state": state})
params, _ = load_tree(path, params, part="train_state/params")     # into another model, say
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from jaxtrain.checkpoint.arrays import describe_arrays, read_arrays, stored_arrays
from jaxtrain.checkpoint.leaves import named_leaves
from jaxtrain.checkpoint.saved import FORMAT, Saved
from jaxtrain.checkpoint.template import is_divided, placed, refuse_differences
from jaxtrain.checkpoint.together import ALONE, Together
from jaxtrain.checkpoint.verifier import Verifier
from jaxtrain.errors import CheckpointError, CheckpointMismatchError, did_you_mean

Wanted = Callable[[str], bool]


def load_tree(
    path: Path,
    template: Any,
    *,
    part: str | None = None,
    without: Collection[str] = (),
    together: Together = ALONE,
) -> tuple[Any, Saved]:
    """Verify a checkpoint, compare it with a template, and read it. See `CheckpointStore.load`."""
    wanted = partial(_touches, part=part)
    verifier = Verifier((together.own, together.count))
    saved = together.do("load/verify", lambda: verifier.verify(path, wanted))
    return together.do("load/read", lambda: _read(saved, template, part, without)), saved


def _read(saved: Saved, template: Any, part: str | None, without: Collection[str]) -> Any:
    tree = template if part is None else {part: template}
    sources = _compared(saved, tree, part, without)
    divided = {name for name, leaf in named_leaves(tree).items() if is_divided(leaf)}
    stored: dict[str, Any] = {}
    for folder, names in sources:
        stored |= read_arrays(folder, [name for name in names if name not in divided])
        if some := divided.intersection(names):
            on_disk = stored_arrays(folder)
            stored |= {name: on_disk[name] for name in some}
    loaded = placed(stored, tree, keys=saved.keys)
    return loaded if part is None else loaded[part]


def compare_tree(saved: Saved, template: Any) -> None:
    """See that a checkpoint holds a tree like `template`. No array is read, no digest compared.

    Raises:
        CheckpointError: it can't be read.
        CheckpointMismatchError: listing every leaf that differs.
    """
    _compared(saved, template)


def _compared(
    saved: Saved, tree: Any, part: str | None = None, without: Collection[str] = ()
) -> list[tuple[Path, list[str]]]:
    """Where the leaves of `tree` are: folders, and the names of those in each."""
    path = saved.path
    if saved.meta.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: format {saved.meta.get('format')!r}; this version reads {FORMAT}. Read it "
            "with the version that wrote it, which its meta.json may name"
        )
    described: dict[str, Any] = {}
    sources: list[tuple[Path, list[str]]] = []
    for folder, within in _folders(saved, part):
        found = {
            n: d
            for n, d in describe_arrays(folder).items()
            if within(n) and not any(is_within(n, left) for left in without)
        }
        if twice := described.keys() & found.keys():
            raise CheckpointError(f"{path}: two files have {', '.join(sorted(twice))}")
        described |= found
        sources.append((folder, list(found)))
    if part is not None and not described:
        raise _no_such_part(saved, part)
    # Compared before any array is read: no memory is taken for what a file merely claims.
    refuse_differences(described, tree, keys=saved.keys)
    return sources


def is_within(name: str, part: str) -> bool:
    """Whether a leaf or part is `part`, or below it.

    >>> is_within("a/b", "a"), is_within("ab", "a")
    (True, False)
    """
    return name == part or name.startswith(f"{part}/")


def _touches(shared: str, part: str | None) -> bool:
    return part is None or is_within(shared, part) or is_within(part, shared)


def _folders(saved: Saved, part: str | None) -> list[tuple[Path, Wanted]]:
    """Where the leaves of `part` are, and which of the leaves there they are."""
    own = partial(_is_wanted, parts=[part])
    sources: list[tuple[Path, Wanted]] = [(saved.path / "arrays", own)]
    for shared, folder in saved.shared.items():
        if _touches(shared, part):
            sources.append((folder / "arrays", partial(_is_wanted, parts=[part, shared])))
    return sources


def _is_wanted(name: str, parts: list[str | None]) -> bool:
    return all(part is None or is_within(name, part) for part in parts)


def _no_such_part(saved: Saved, part: str) -> CheckpointMismatchError:
    depth = part.count("/") + 1
    names = [*describe_arrays(saved.path / "arrays"), *saved.shared]
    there = sorted({"/".join(name.split("/")[:depth]) for name in names})
    return CheckpointMismatchError(
        f"{saved.path}: nothing in it is called {part!r}{did_you_mean(part, there)} "
        f"(there are: {', '.join(there)})"
    )
