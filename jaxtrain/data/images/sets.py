"""Which folders are the sets of a data set of images.

find_sets(Path("birds"), train=None, validation=None, test=None, fitted=False)
# {"train": Path("birds/train"), "test": Path("birds/test")}
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from jaxtrain.data.images.listing import folders_of
from jaxtrain.errors import ConfigError
from jaxtrain.files.paths import is_there, typed_path

_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}


def find_sets(
    root: Path, *, train: str | None, validation: str | None, test: str | None, fitted: bool
) -> Mapping[str, Path]:
    """The folders of the sets.

    Those that are named; where none is, those that `root` has, if it has a folder `train` and no
    folder that is not called as a set is; else `root` itself for "train".

    Args:
        root: the folder of the data set.
        train: a folder below it.
        validation: a folder below it.
        test: a folder below it.
        fitted: the model is trained, so that the training images may be gone.

    Raises:
        DataNotFoundError: there is no folder `root`.
        ConfigError: two folders would be the same set, or are the same folder.
    """
    named = {"train": train, "validation": validation, "test": test}
    told = {
        name: root / typed_path(folder, what=f"data.{name}")
        for name, folder in named.items()
        if folder is not None
    }
    if told:
        sets = {"train": root} | told
        _refuse_same(sets)
        gone = fitted and len(sets) > 1 and not is_there(sets["train"])
        return {name: folder for name, folder in sets.items() if name != "train" or not gone}
    found = recognised(root)
    return found if "train" in found or (fitted and found) else {"train": root}


def recognised(root: Path) -> dict[str, Path]:
    """The sets that `root` has by the names of its folders; none where one is no set's name.

    Raises:
        DataNotFoundError: there is no folder `root`.
        ConfigError: two folders would be the same set.
    """
    found: dict[str, Path] = {}
    for folder in folders_of(root):
        part = next((p for p, names in _NAMES.items() if folder.name.lower() in names), None)
        if part is None:
            return {}
        if part in found:
            raise ConfigError(
                f"{root}: both {found[part].name} and {folder.name} could be the {part} set; name "
                f"one, as data.{part}={folder.name}"
            )
        found[part] = folder
    return found


def _refuse_same(sets: Mapping[str, Path]) -> None:
    seen: dict[str, str] = {}
    for name, folder in sets.items():
        other = seen.setdefault(os.path.realpath(folder), name)
        if other != name:
            raise ConfigError(
                f"data.{name}: {folder} is the {other} set, too; a model must not be judged by "
                "what it has learnt"
            )
