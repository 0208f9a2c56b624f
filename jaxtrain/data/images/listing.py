"""What is in a folder of images: a sub-folder a class.

    listing = list_classes(Path("birds/train"))
    listing.files                # {"crow": (Path("birds/train/crow/1.jpg"), ...), "gull": ...}
    listing.left_out             # ("birds/train: left out README.md, no folder of a class", ...)

Names decide, in their order: the same files are the same list on every machine. Two folders whose
names differ in case alone are two classes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtrain.errors import ConfigError, DataNotFoundError

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif")
_PICTURES = (".gif", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".avif", ".svg")
_SHOWN = 3


@dataclass(frozen=True)
class Listing:
    """The images of a folder.

    Args:
        files: the image files of each class, both in the order of their names.
        left_out: a line for each kind of thing that is there and is not read.
    """

    files: Mapping[str, tuple[Path, ...]]
    left_out: tuple[str, ...] = ()


def list_classes(folder: Path) -> Listing:
    """The classes and their image files.

    Raises:
        DataNotFoundError: there is no such folder.
        ConfigError: it has no folders, images beside them, a class without images or with folders
            inside, or a symbolic link that leads out of it.
    """
    folders, files, left_out = _entries(folder, folder)
    images = [path for path in files if _is_image(path)]
    if not folders:
        found = f"{len(images):,} images" if images else "nothing of the kind"
        raise ConfigError(
            f"{folder}: expected a folder for each class, with its images inside, found {found} "
            "and no folder"
        )
    if images:
        raise ConfigError(
            f"{images[0]}: an image beside the folders of the classes ({_names(folders)}); move it "
            f"into one of them{_and_more(images)}"
        )
    left_out += _line(folder, files, "no folder of a class")
    classes = {}
    for inner in folders:
        classes[inner.name], lines = _list_class(inner, folder)
        left_out += lines
    return Listing(classes, tuple(left_out))


def list_images(folder: Path, root: Path | None = None) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The image files right in a folder, and what is left out; folders in it are not looked at.

    Raises:
        ConfigError: a symbolic link leads out of `root` (or else the folder).
    """
    _, files, left_out = _entries(folder, root or folder)
    images = tuple(path for path in files if _is_image(path))
    others = [path for path in files if not _is_image(path)]
    return images, (*left_out, *_line(folder, others, "neither PNG nor JPEG by name"))


def folders_of(folder: Path) -> list[Path]:
    """The folders in a folder that are not hidden, by name.

    Raises:
        DataNotFoundError: there is no such folder.
    """
    return _entries(folder, folder)[0]


def _list_class(folder: Path, root: Path) -> tuple[tuple[Path, ...], Sequence[str]]:
    inner = _entries(folder, root)[0]
    if inner:
        raise ConfigError(
            f"{inner[0]}: a folder inside of the class {folder.name!r}; expected images. Is "
            f"{root} one folder too high, or one of its sets to be named as data.train?"
        )
    images, lines = list_images(folder, root)
    if not images:
        others = "; ".join(lines)
        raise ConfigError(
            f"{folder}: no image of the class {folder.name!r}; expected PNG or JPEG files, found "
            f"{'only others: ' + others if others else 'an empty folder'}. Fill it or remove it"
        )
    return images, lines


def _entries(folder: Path, root: Path) -> tuple[list[Path], list[Path], list[str]]:
    """Folders, files, and lines about what is neither or hidden; sorted by name.

    Raises:
        ConfigError: a symbolic link leads out of `root`.
    """
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError) as error:
        state = "nothing" if isinstance(error, FileNotFoundError) else "a file"
        raise DataNotFoundError(
            f"{folder.absolute()}: expected a folder of images, found {state}"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: can't be looked into ({error})") from None
    paths = [folder / name for name in names]
    hidden = [path for path in paths if path.name.startswith(".")]
    seen = [path for path in paths if not path.name.startswith(".")]
    for path in seen:
        _refuse_unreadable_name(path)
        if path.is_symlink():
            _refuse_leaving(path, root)
    folders = [path for path in seen if path.is_dir()]
    files = [path for path in seen if path.is_file()]
    others = [path for path in seen if not path.exists() or not (path.is_dir() or path.is_file())]
    lines = _line(folder, hidden, "hidden") + _line(folder, others, "neither file nor folder")
    return folders, files, lines


def _refuse_leaving(path: Path, root: Path) -> None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: of a circle, up to Python 3.12
        raise ConfigError(f"{path}: a symbolic link that leads nowhere; remove it") from None
    if not target.is_relative_to(root.resolve()):
        raise ConfigError(
            f"{path}: a symbolic link leads out of {root}, to {target}; put the images themselves "
            "there"
        )


def _refuse_unreadable_name(path: Path) -> None:
    try:
        path.name.encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError(
            f"{str(path)!r}: a name that is not UTF-8 can't be written down; rename it"
        ) from None


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _line(folder: Path, paths: Sequence[Path], why: str) -> list[str]:
    if not paths:
        return []
    kinds = sorted({p.suffix.lower() for p in paths if p.suffix.lower() in _PICTURES})
    remedy = f"; turn {', '.join(kinds)} into PNG or JPEG to have them read" if kinds else ""
    return [f"{folder}: left out {len(paths):,} ({_names(paths)}): {why}{remedy}"]


def _names(paths: Sequence[Path]) -> str:
    shown = ", ".join(path.name for path in paths[:_SHOWN])
    return shown + (", ..." if len(paths) > _SHOWN else "")


def _and_more(paths: Sequence[Path]) -> str:
    return f" ({len(paths) - 1:,} more such)" if len(paths) > 1 else ""


def refuse_single(classes: Sequence[str], folder: Path) -> None:
    """Raises where there is but one class to tell from nothing.

    Raises:
        ConfigError: there are fewer than two.
    """
    if len(classes) < 2:
        raise ConfigError(
            f"{folder}: expected a folder for each of two classes or more, found "
            f"{', '.join(classes) or 'none'} alone"
        )
