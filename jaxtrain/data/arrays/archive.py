"""The arrays of a `.npz` file, or the one of a `.npy`: what is there, and one of them.

    file = ArrayFile(Path("mnist.npz"))
    file.heads                           # {"x_train": uint8[60000, 28, 28], ...}, by headers alone
    file.read("x_train")

A file is known by its content. No header is believed that claims more than the file could hold.
"""

from __future__ import annotations

import contextlib
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from jaxtrain.data.arrays.npy import MAGIC, Head, read_body, read_head
from jaxtrain.data.memory import refuse_too_much
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError, JaxtrainError

ALONE = "the array"
"""What the array of a `.npy` file is called, since it has no name of its own."""

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# The most that deflate makes of one byte (https://zlib.net/zlib_tech.html).
_MOST_MEMBERS = 100  # each is looked at, and the archive is read anew for it
_BEST_RATIO = 1032
_ENCRYPTED = 1
_ENDING = ".npy"


class ArrayFile:
    """A file of arrays; nothing of it is held open.

    Args:
        path: a `.npz` or `.npy` file.

    Attributes:
        heads: shape and dtype of each array that can be read, by its name.
        faults: why the others can't be, by their names.

    Raises:
        DataNotFoundError: there is nothing at `path`.
        ConfigError: it is no file, or may not be read.
        DataError: it is neither of the two, or broken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heads: dict[str, Head] = {}
        self.faults: dict[str, str] = {}
        with _opened(path) as file:
            magic = file.read(6)
            self._is_zip = magic[:4] in _ZIP
            if not self._is_zip and magic != MAGIC:
                raise DataError(
                    f"{path}: neither a .npz nor a .npy file: it begins with "
                    f"{magic.hex(' ') or 'nothing'}"
                )
        for name, info in self._members().items():
            try:
                with self._stream(info) as stream:
                    self.heads[name] = self._head(stream, name, info)
            except DataError as error:
                self.faults[name] = str(error)
        if not self.heads and self.faults:
            raise DataError("\n".join(self.faults.values()))

    def __getitem__(self, name: str) -> Head:
        if name in self.faults:
            raise DataError(self.faults[name])
        return self.heads[name]

    def read(self, name: str) -> np.ndarray:
        """The array `name`, one of `heads`.

        Raises:
            ConfigError: it takes more than half of the memory.
            DataError: it is broken.
        """
        info = self._members()[name]
        with self._stream(info) as stream:
            head = self._head(stream, name, info)
            refuse_too_much(
                head.nbytes,
                what=f"{self._place(name)}: {head}",
                remedy="have fewer rows, or a source of your own with a GrainLoader",
            )
            return read_body(stream, head, self._place(name))

    def _members(self) -> Mapping[str, zipfile.ZipInfo | None]:
        if not self._is_zip:
            return {ALONE: None}
        members: dict[str, zipfile.ZipInfo | None] = {}
        with self._archive() as archive:
            infos = archive.infolist()
            if len(infos) > _MOST_MEMBERS:
                raise DataError(
                    f"{self.path}: {len(infos):,} arrays; expected at most {_MOST_MEMBERS}"
                )
            for info in infos:
                name = info.filename.removesuffix(_ENDING)
                if name in members:
                    raise DataError(f"{self.path}: two arrays of the name {name!r}")
                members[name] = info
        return members

    def _place(self, name: str) -> str:
        return f"{self.path}" if name == ALONE else f"{self.path}: {name}"

    @contextlib.contextmanager
    def _archive(self) -> Iterator[zipfile.ZipFile]:
        try:
            with _opened(self.path) as file, zipfile.ZipFile(file) as archive:
                yield archive
        except JaxtrainError:
            raise
        # What zipfile raises of archives that are not as they should be, offsets before their
        # beginning and names in no alphabet included.
        except (
            zipfile.BadZipFile,
            zlib.error,
            struct.error,
            EOFError,
            RuntimeError,
            OverflowError,
            ValueError,
            OSError,
        ) as error:
            what = str(error) or type(error).__name__
            raise DataError(f"{self.path}: broken archive ({what})") from None

    @contextlib.contextmanager
    def _stream(self, info: zipfile.ZipInfo | None) -> Iterator[BinaryIO]:
        if info is None:
            with _opened(self.path) as file:
                yield file
            return
        name = f"{self.path}: {info.filename}"
        if info.flag_bits & _ENCRYPTED:
            raise DataError(f"{name}: encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{name}: compressed in another way than np.savez_compressed does")
        with self._archive() as archive, archive.open(info) as stream:
            yield cast(BinaryIO, stream)

    def _head(self, stream: BinaryIO, name: str, info: zipfile.ZipInfo | None) -> Head:
        place = self._place(name)
        head = read_head(stream, place)
        room = self.path.stat().st_size
        if info is None:
            held = room - head.size
        else:
            held = info.file_size - head.size
            # Nor is the archive's own word believed: no more can come out than there is.
            held = min(held, min(info.compress_size, room) * _BEST_RATIO)
        if head.nbytes > held:
            raise DataError(
                f"{place}: truncated: its header claims {head.nbytes:,} bytes of values for "
                f"{head}, and there are at most {max(held, 0):,}"
            )
        return head


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: expected a file of arrays, found something else")
        file = path.open("rb")
    except FileNotFoundError:
        raise DataNotFoundError(f"data file not found: {path.absolute()}") from None
    except OSError as error:  # not allowed, too long a name
        raise ConfigError(f"{path}: can't be opened ({error.strerror})") from None
    with file:
        yield file
