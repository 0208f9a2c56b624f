"""Whether a checkpoint is what was written: its own files, and those that it shares with others.

saved = verify(path)                     # CheckpointError: which file, and what is wrong with it

verifier = Verifier()                    # for several of them: what they share is read once
faults = [verifier.fault(path) for path in committed(directory)]
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jaxtrain.checkpoint.manifest import ALL, Share, verify_manifest, vouches_for
from jaxtrain.checkpoint.saved import SHARED, Saved, committed, misnamed, read_saved
from jaxtrain.errors import CheckpointError


class Verifier:
    """Verifies checkpoints of one moment: a shared part that it has read it does not read again.

    Args:
        share: which of the contents are compared, where several processes do it together.
    """

    def __init__(self, share: Share = ALL) -> None:
        self._share = share
        self._parts: dict[Path, str] = {}  # what is wrong with each, or nothing

    def verify(self, path: Path, wanted: Callable[[str], bool] = lambda part: True) -> Saved:
        """What `path` says of itself, if it is whole.

        Args:
            path: a checkpoint.
            wanted: which of the parts that it shares with others are to be verified, by name.

        Raises:
            CheckpointError: the first file that is missing, left over, changed or unreadable.
        """
        verify_manifest(path, share=self._share)
        saved = read_saved(path)
        if saved is None:
            raise CheckpointError(f"{path / 'meta.json'}: is not what it must be")
        for part, folder in saved.shared.items():
            if wanted(part) and (fault := self._fault_of_part(folder)):
                raise CheckpointError(f"{path}: its {part!r} can't be used: {fault}")
        return saved

    def verify_commit(self, path: Path) -> Saved:
        """`verify`, of one that is to be what its name says: a commit in the store's directory.

        Raises:
            CheckpointError: as for `verify`, or it was renamed.
        """
        saved = self.verify(path)
        if fault := misnamed(saved):
            raise CheckpointError(fault)
        return saved

    def judge(self, path: Path) -> tuple[Saved | None, str]:
        """What a commit says of itself, or what is wrong with it."""
        try:
            return self.verify_commit(path), ""
        except CheckpointError as error:
            return None, str(error)

    def fault(self, path: Path) -> str:
        """What is wrong with a commit; empty where nothing is."""
        return self.judge(path)[1]

    def _fault_of_part(self, folder: Path) -> str:
        if folder not in self._parts:
            self._parts[folder] = shared_fault(folder, self._share)
        return self._parts[folder]


def verify(path: Path) -> Saved:
    """What the checkpoint at `path` says of itself, if all that belongs to it is whole.

    Raises:
        CheckpointError: the first file that is missing, left over, changed or unreadable, of its
            own or of the parts that it shares with others.
    """
    return Verifier().verify(path)


def vouched(directory: Path) -> list[Saved]:
    """The commits in `directory` whose meta.json is as it was written, oldest first; cheap.

    No array is read: of what such a checkpoint says of itself one may be sure, of the rest not.
    """
    found = (read_saved(p) for p in committed(directory) if vouches_for(p, "meta.json"))
    return [saved for saved in found if saved is not None and not misnamed(saved)]


def shared_fault(folder: Path, share: Share = ALL) -> str:
    """What is wrong with a part that checkpoints share; empty where nothing is."""
    if not folder.is_dir():
        return (
            f"{folder} is not there; it holds what the checkpoints of the run have in common. Copy "
            f"{SHARED}/{folder.name} along with a checkpoint, into the directory it stands in"
        )
    if folder.is_symlink() or folder.parent.is_symlink():
        return f"{folder}: a symbolic link leads there; expected a directory"
    try:
        verify_manifest(folder, share=share)
        named = (folder / "digest").read_text()
    except (CheckpointError, OSError, UnicodeDecodeError) as error:
        return str(error)
    # Digests are by content: under another name it would be another base, whole as it is.
    return "" if named == folder.name else f"{folder}: holds what is called {named}"
