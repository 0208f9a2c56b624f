"""Rows of tokens: inputs and labels, and where the documents are in them.

    packing = Packing.of(tokens, length=256, layout="stream")
    packing.gather(np.array([0, 7]))         # {"inputs": [2, 256], "labels": [2, 256], ...}
    packing[7]                               # one of them, {"inputs": [256], ...}

Axis letters: B rows, L places of a row, R all rows, D documents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from jaxtrain.batch import MASK
from jaxtrain.data.text.layout import stream_spans, whole_spans
from jaxtrain.data.text.tokens import Tokens

Layout = Literal["stream", "whole"]


@dataclass(frozen=True, eq=False)
class Packing:
    """Rows over tokens; it makes them when they are asked for, and is cheap to send.

    Args:
        tokens: the documents.
        spans: `[R, 2]`, the first input of each row, and the end of them.
        length: L.
        segmented: whether rows say which document a place belongs to. Else each row is one.
    """

    tokens: Tokens
    spans: np.ndarray = field(repr=False)
    length: int
    segmented: bool

    @classmethod
    def of(
        cls, tokens: Tokens, *, length: int, layout: Layout, segmented: bool | None = None
    ) -> Packing:
        """The documents in their order.

        Args:
            tokens: the documents.
            length: L.
            layout: "stream" for rows that are full, "whole" for documents that are not cut.
            segmented: None: where there is more than one document.
        """
        if layout == "stream":
            spans = stream_spans(len(tokens), length)
        else:
            spans = whole_spans(tokens.offsets, length)
        return cls(tokens, spans, length, tokens.documents > 1 if segmented is None else segmented)

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, row: Any) -> dict[str, np.ndarray]:
        """A row: `[L]` each."""
        return {name: array[0] for name, array in self.gather(np.array([row])).items()}

    def example(self) -> dict[str, np.dtype[Any]]:
        """The dtypes of a row's arrays."""
        names = ["inputs", "labels", *(["segments", "positions"] if self.segmented else [])]
        return {**{name: np.dtype(np.int32) for name in names}, MASK: np.dtype(np.float32)}

    def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The rows of these numbers.

        Returns:
            `inputs` and `labels` `[B, L]` int32; `mask` `[B, L]` float32, 1 where the label is to
            be learnt: it is the next token of the same document, and none of a prompt; `segments`
            from 1 in each row and `positions` from 0 in each document, or in each row where it goes
            on from the one before. All are 0 where there is nothing.
        """
        tokens, last = self.tokens, len(self.tokens) - 1
        start, end = (edge[:, None] for edge in self.spans[rows].T)
        places = start + np.arange(self.length)
        inside = places < end
        places = np.minimum(places, last)
        behind = np.minimum(places + 1, last)
        document = self._document(places)
        labelled = inside & (places + 1 < tokens.offsets[document + 1])
        counted = labelled if tokens.counts is None else labelled & tokens.counts[behind]
        made = {
            "inputs": np.where(inside, tokens.flat[places], 0).astype(np.int32),
            "labels": np.where(labelled, tokens.flat[behind], 0).astype(np.int32),
            MASK: counted.astype(np.float32),
        }
        if self.segmented:
            # From 0 in each row: what a row can't see has no part in its places, and none is
            # beyond what a model was made for.
            begin = np.maximum(tokens.offsets[document], start)
            segments = document - document[:, :1] + 1
            made["segments"] = np.where(inside, segments, 0).astype(np.int32)
            made["positions"] = np.where(inside, places - begin, 0).astype(np.int32)
        return made

    def _document(self, places: np.ndarray) -> np.ndarray:
        """The number of the document at each place."""
        if self.tokens.documents == 1:
            return np.zeros_like(places)
        return np.searchsorted(self.tokens.offsets, places, side="right") - 1
