"""Reads new arrays as the training arrays were read.

reader = ArraysReader(input_form, label_form)
rows = reader.read(Path("new.npz"))          # or a .npy with the inputs alone
rows.ids                                     # {"index": [0, 1, ...]}
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtrain.data.arrays.archive import ArrayFile
from jaxtrain.data.arrays.inputs import InputForm
from jaxtrain.data.arrays.labels import LabelForm
from jaxtrain.data.arrays.new_arrays import new_arrays
from jaxtrain.data.reader import READERS, NewRows
from jaxtrain.errors import DataError

logger = logging.getLogger(__name__)


class ArraysReader:
    """What a model was trained on, and how arrays are read for it.

    Args:
        input_form: of the training inputs.
        label_form: of the training labels.
        inputs: what the inputs were called, where the config has said it.
        labels: what the labels were called, likewise.
    """

    def __init__(
        self,
        input_form: InputForm,
        label_form: LabelForm,
        *,
        inputs: str | None = None,
        labels: str | None = None,
    ) -> None:
        self._inputs = input_form
        self._labels = label_form
        self._told = {"inputs": inputs, "labels": labels}

    def state(self) -> Mapping[str, Any]:
        """Both forms."""
        return {"inputs": self._inputs.to_json(), "labels": self._labels.to_json()}

    def read(self, path: Path) -> NewRows:
        """The rows of a `.npz` or `.npy` file; labels need not be there.

        A label that is none of the classes, or not finite, is none: such rows are told of.

        Raises:
            DataNotFoundError: there is nothing at `path`.
            ConfigError: its arrays are not to be told apart, or not such as were trained on.
            DataError: it is broken.
        """
        archive = ArrayFile(path)
        inputs, labels = new_arrays(archive, self._told)
        place = f"{path}: {inputs}"
        values = self._inputs.apply(archive.read(inputs), name=place)
        ids = {"index": range(len(values))}
        if labels is None:
            return NewRows(values, ids=ids)
        targets, known = self._labels.known(archive.read(labels), name=f"{path}: {labels}")
        if not known.all():
            logger.warning(
                "%s: %s: %d labels are none that the model knows, the first in row %d",
                path,
                labels,
                len(known) - int(known.sum()),
                int(known.argmin()),
            )
        if not known.any():
            return NewRows(values, ids=ids)
        return NewRows(values, targets, None if known.all() else known, ids)


def forms_of(state: Any) -> tuple[InputForm, LabelForm]:
    """What a reader has said of itself.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(state, Mapping) or not {"inputs", "labels"} <= state.keys():
        raise DataError(f"the reader of arrays: expected two forms, found {state!r:.200}")
    return InputForm.from_json(state["inputs"]), LabelForm.from_json(state["labels"])


@READERS.register("arrays")
def arrays_reader(
    state: Mapping[str, Any], *, inputs: str | None = None, labels: str | None = None
) -> ArraysReader:
    """The reader of a trained model, from what it said of itself; the options are the source's."""
    return ArraysReader(*forms_of(state), inputs=inputs, labels=labels)
