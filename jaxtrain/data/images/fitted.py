"""What a model was trained to see: the classes, and the size of its images.

fitted = Fitted(("crow", "gull"), size=(64, 64), channels=3)
Fitted.from_json(fitted.to_json()) == fitted
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtrain.data.images.decoding import Channels, Size
from jaxtrain.errors import ConfigError, DataError

_LARGEST_SIDE = 4096


@dataclass(frozen=True)
class Fitted:
    """What the source has fitted, or been told.

    Args:
        classes: the names of the classes, in the order of their numbers.
        size: height and width.
        channels: 1 or 3.
    """

    classes: tuple[str, ...]
    size: Size
    channels: Channels

    @classmethod
    def from_json(cls, record: Any) -> Fitted:
        """What `to_json` gave.

        Raises:
            DataError: it is something else.
        """
        try:
            classes, size, channels = (record[name] for name in ("classes", "size", "channels"))
            right = (
                isinstance(classes, list | tuple)
                and all(isinstance(name, str) for name in classes)
                and len(classes) == len(set(classes)) >= 2
                and len(size) == 2
                and all(type(side) is int and 0 < side <= _LARGEST_SIDE for side in size)
                and type(channels) is int
                and channels in (1, 3)
            )
        except (TypeError, KeyError):
            right = False
        if not right:
            raise DataError(
                "the reader of images: expected classes, size and channels as they were trained "
                f"with, found {record!r:.200}"
            )
        return cls(tuple(classes), (size[0], size[1]), channels)

    def to_json(self) -> Mapping[str, Any]:
        """As JSON values."""
        return {
            "classes": list(self.classes),
            "size": list(self.size),
            "channels": self.channels,
        }

    def refuse_others(self, size: Size, channels: Channels) -> None:
        """Raises where the config says another form than that of the training.

        Raises:
            ConfigError: says both.
        """
        if (tuple(size), channels) != (self.size, self.channels):
            raise ConfigError(
                f"data.size and data.channels: the model was trained on images of "
                f"{self.size[0]}x{self.size[1]}x{self.channels}, found "
                f"{size[0]}x{size[1]}x{channels}"
            )
