from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.data.text.layout import stream_spans, whole_spans

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=30)


@settings(max_examples=200, derandomize=True)
@given(st.integers(2, 60), st.integers(1, 12))
def test_a_stream_is_full_up_to_its_last_row(total, length):
    spans = stream_spans(total, length).tolist()
    assert [place for start, end in spans for place in range(start, end)] == list(range(total - 1))
    assert all(end - start == length for start, end in spans[:-1])
    assert 0 < spans[-1][1] - spans[-1][0] <= length


@settings(max_examples=300, derandomize=True)
@given(LENGTHS, st.integers(1, 8))
def test_no_document_is_cut_that_fits(lengths, length):
    offsets = np.cumsum([0, *lengths])
    spans = whole_spans(offsets, length).tolist()
    assert all(0 < end - start <= length for start, end in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    inputs = {place for start, end in spans for place in range(start, end)}
    ends = set(offsets[1:] - 1)
    # What is no input is the last token of a document, which has no label.
    assert set(range(offsets[-1])) - inputs <= ends
    for begin, end in itertools.pairwise(offsets.tolist()):
        rows = [s for s in spans if s[0] < end - 1 and s[1] > begin]
        if end - begin <= length + 1:
            assert len(rows) <= 1
        elif rows:
            assert len(rows) == -(-(end - begin - 1) // length)
            assert rows[0][0] == begin


@settings(max_examples=100, derandomize=True)
@given(LENGTHS, st.integers(1, 8))
def test_a_row_is_not_ended_before_it_must_be(lengths, length):
    offsets = np.cumsum([0, *lengths])
    for (start, end), (begin, _) in itertools.pairwise(whole_spans(offsets, length).tolist()):
        following = offsets[offsets > begin][0]
        assert end - start == length or following - 1 - start > length
