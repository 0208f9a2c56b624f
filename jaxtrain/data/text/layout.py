"""Which tokens make a row: documents in their order, cut into rows of L.

    stream_spans(total=11, length=4)                         # [[0, 4], [4, 8], [8, 10]]
    whole_spans(np.array([0, 3, 6, 9]), length=4)            # [[0, 3], [3, 6], [6, 9]]

A span `[start, end)` are the inputs of a row, its labels are those one further on. So the last
token of all, which has no next one, need not be an input. Axis letters: D documents, R rows, L
places of a row.
"""

from __future__ import annotations

import numpy as np


def stream_spans(total: int, length: int) -> np.ndarray:
    """Rows that are full, whatever ends in them; `[R, 2]` int64.

    A document goes on in the next row. Its first label there is the token behind the last input
    here, so that no token is lost at the border.

    Args:
        total: how many tokens there are, at least two.
        length: L.

    >>> stream_spans(9, 4).tolist(), stream_spans(10, 4).tolist()
    ([[0, 4], [4, 8]], [[0, 4], [4, 8], [8, 9]])
    """
    starts = np.arange(0, total - 1, length, dtype=np.int64)
    return np.stack([starts, np.minimum(starts + length, total - 1)], axis=1)


def whole_spans(offsets: np.ndarray, length: int) -> np.ndarray:
    """Rows in which no document is cut that fits into one; `[R, 2]` int64.

    As many documents as fit, in their order. One that is longer than a row begins a row, and goes
    on in the next ones, of which the last may hold others behind it.

    Args:
        offsets: `[D + 1]`, where each document begins, and the end of the last.
        length: L.

    >>> whole_spans(np.array([0, 3, 4, 11]), 4).tolist()
    [[0, 4], [4, 8], [8, 11]]
    >>> whole_spans(np.array([0, 5, 7]), 4).tolist()
    [[0, 4], [5, 7]]
    """
    spans, start, total = [], 0, int(offsets[-1])
    while start < total:
        # The last token of a row's last document has no label there: it may stick out.
        last = int(np.searchsorted(offsets, start + length + 1, side="right")) - 1
        behind = int(offsets[last])
        if behind <= start:  # in the middle of a document that is longer
            behind = start + length
        spans.append((start, min(behind, start + length)))
        start = behind
    return np.array(spans, np.int64)
