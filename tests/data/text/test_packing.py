"""No token is lost, none counts twice, and no label is another document's."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.data.text.packing import Packing
from jaxtrain.data.text.tokens import Encoded, gathered

DOCUMENTS = st.lists(st.integers(1, 15), min_size=1, max_size=25).filter(lambda x: sum(x) > 1)
LAYOUTS = st.sampled_from(["stream", "whole"])


def documents(lengths, counts=None):
    """Every token is another number, from 1 on."""
    edges = np.cumsum([0, *lengths])
    numbers = np.arange(1, edges[-1] + 1)
    return gathered(
        [
            Encoded(numbers[a:b], None if counts is None else counts[a:b])
            for a, b in itertools.pairwise(edges)
        ],
        vocab_size=1000,
    )


@settings(max_examples=300, derandomize=True)
@given(DOCUMENTS, LAYOUTS, st.integers(1, 10))
def test_each_token_but_the_first_is_a_label_once(lengths, layout, length):
    tokens = documents(lengths)
    packing = Packing.of(tokens, length=length, layout=layout, segmented=True)
    rows = packing.gather(np.arange(len(packing)))
    firsts = set(tokens.offsets[:-1] + 1)
    counted = rows["mask"] == 1
    labels = rows["labels"][counted].tolist()
    assert sorted(labels) == sorted(set(range(1, sum(lengths) + 1)) - firsts)
    # Each is asked for behind the token before it.
    assert (rows["inputs"][counted] + 1).tolist() == labels
    assert set(np.unique(rows["mask"])) <= {0.0, 1.0}
    assert (rows["labels"][~counted] == 0).all()


@settings(max_examples=300, derandomize=True)
@given(DOCUMENTS, LAYOUTS, st.integers(1, 10))
def test_segments_and_positions_say_where_the_documents_are(lengths, layout, length):
    tokens = documents(lengths)
    packing = Packing.of(tokens, length=length, layout=layout, segmented=True)
    for row in (packing[number] for number in range(len(packing))):
        inside = row["segments"] > 0
        used = int(inside.sum())
        assert inside[:used].all()
        for name in ("inputs", "labels", "mask", "positions"):
            assert (row[name][used:] == 0).all()
        document = np.searchsorted(tokens.offsets, row["inputs"][:used] - 1, side="right")
        assert row["segments"][:used].tolist() == (document - document[0] + 1).tolist()
        for number in np.unique(row["segments"][:used]):
            here = row["segments"] == number
            assert row["positions"][here].tolist() == list(range(int(here.sum())))
        if used < length and layout == "stream":
            assert row["inputs"][used - 1] == len(tokens) - 1


@settings(max_examples=100, derandomize=True)
@given(DOCUMENTS, LAYOUTS, st.integers(1, 10), st.randoms(use_true_random=False))
def test_a_prompt_is_read_and_not_learnt(lengths, layout, length, random):
    counts = np.array([random.random() < 0.5 for _ in range(sum(lengths))])
    free = Packing.of(documents(lengths), length=length, layout=layout)
    masked = Packing.of(documents(lengths, counts), length=length, layout=layout)
    every = np.arange(len(free))
    before, after = free.gather(every), masked.gather(every)
    assert all((before[n] == after[n]).all() for n in before if n != "mask")
    wanted = before["mask"] * counts[np.maximum(before["labels"] - 1, 0)]
    assert (after["mask"] == wanted).all()


def test_one_document_needs_no_segments():
    packing = Packing.of(documents([10]), length=4, layout="stream")
    rows = packing.gather(np.arange(3))
    assert list(rows) == ["inputs", "labels", "mask"]
    assert rows["inputs"].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 0, 0, 0]]
    assert rows["labels"].tolist() == [[2, 3, 4, 5], [6, 7, 8, 9], [10, 0, 0, 0]]
    assert rows["mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 1], [1, 0, 0, 0]]


def test_a_document_that_goes_on_begins_its_positions_anew():
    packing = Packing.of(documents([2, 6]), length=4, layout="stream")
    rows = packing.gather(np.arange(2))
    assert rows["segments"].tolist() == [[1, 1, 2, 2], [1, 1, 1, 0]]
    assert rows["positions"].tolist() == [[0, 1, 0, 1], [0, 1, 2, 0]]
    assert rows["labels"].tolist() == [[2, 0, 4, 5], [6, 7, 8, 0]]
    assert rows["mask"].tolist() == [[1, 0, 1, 1], [1, 1, 1, 0]]
    whole = Packing.of(documents([2, 6]), length=4, layout="whole")
    assert whole.gather(np.arange(3))["inputs"].tolist() == [
        [1, 2, 0, 0],
        [3, 4, 5, 6],
        [7, 8, 0, 0],
    ]


def test_dtypes_and_what_goes_to_another_process():
    packing = Packing.of(documents([3, 4]), length=4, layout="stream")
    row = packing[1]
    assert {name: array.dtype for name, array in row.items()} == packing.example()
    again = pickle.loads(pickle.dumps(packing))
    assert all((again[1][name] == row[name]).all() for name in row)
    with pytest.raises(IndexError):
        packing[2]
