from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from jaxtrain.batch import ROW_MASK
from jaxtrain.data import ArrayLoader, GrainLoader, Rows, check_dataset
from jaxtrain.data.rows import StreamedRows
from jaxtrain.data.text import token_rows
from jaxtrain.data.text.packing import Packing
from jaxtrain.data.text.token_cache import cached
from jaxtrain.data.text.token_rows import TokenRows
from jaxtrain.data.text.tokens import Encoded, gathered
from jaxtrain.errors import DataError

OPTIONS = {"batch_size": 3, "shuffle": True, "seed": 1, "last_batch": "pad"}


def documents():
    return [Encoded(np.arange(n, 2 * n + 3)) for n in range(12)]


def rows(length=5, layout="stream", tokens=None, **options):
    tokens = tokens or gathered(documents(), vocab_size=40)
    packing = Packing.of(tokens, length=length, layout=layout)
    return TokenRows(packing, **{"vocab_size": 40, "name": "numbers", **options})


def plain(batch):
    return {name: array.tolist() for name, array in batch.items()}


def walked(loader, count, cursor=None):
    batches = loader.batches(cursor)
    taken = [(plain(batch), cursor) for batch, cursor in itertools.islice(batches, count)]
    batches.close()
    return taken


def test_they_are_rows_that_can_be_streamed():
    made = rows()
    assert isinstance(made, Rows)
    assert isinstance(made, StreamedRows)
    assert (made.task, made.num_outputs, made.label_names) == ("language", 40, ())
    assert len(made) == len(made.packing) == len(made.arrays["inputs"])
    assert sum(array.nbytes for array in made.arrays.values()) == made.nbytes
    assert isinstance(made.loader(**OPTIONS), ArrayLoader)
    with pytest.raises(DataError, match="num_outputs"):
        rows(vocab_size=0)


def test_the_arrays_are_all_rows_however_many_are_made_at_once(monkeypatch):
    expected = rows().packing.gather(np.arange(len(rows())))
    for at_once in (1, 12, 2**20):
        monkeypatch.setattr(token_rows, "_AT_ONCE", at_once)
        found = rows().arrays
        assert list(found) == list(rows().packing.example())
        assert all((found[name] == expected[name]).all() for name in expected)
        assert {n: a.dtype for n, a in found.items()} == rows().packing.example()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_has_the_same_batches(workers, tmp_path):
    tokens = cached(
        tmp_path, "key", documents, vocab_size=40, counted=False, what="the same numbers"
    )
    made = rows(tokens=tokens)
    steps = made.loader(**OPTIONS).steps_per_epoch
    stream = made.stream(**OPTIONS, workers=workers)
    assert isinstance(stream, GrainLoader)
    assert stream.workers == workers
    expected = [batch for batch, _ in walked(rows().loader(**OPTIONS), 2 * steps)]
    assert [batch for batch, _ in walked(stream, 2 * steps)] == expected
    assert stream.example() == made.loader(**OPTIONS).example()
    stream.close()


@pytest.mark.parametrize("kind", ["loader", "stream"])
def test_it_goes_on_in_the_middle(kind):
    def loader():
        return getattr(rows(), kind)(**OPTIONS)

    steps = loader().steps_per_epoch
    whole = walked(loader(), 2 * steps)
    for stop in (1, steps - 1, steps, steps + 2):
        cursor = json.loads(json.dumps(whole[stop - 1][1]))
        assert walked(loader(), 2 * steps - stop, cursor) == whole[stop:]


def test_many_rows_come_as_a_stream(monkeypatch):
    made = rows()
    monkeypatch.setattr(token_rows, "_MOST_IN_MEMORY", made.nbytes - 1)
    stream = made.loader(**OPTIONS)
    assert isinstance(stream, GrainLoader)
    assert plain(next(iter(stream))) == walked(rows().stream(**OPTIONS), 1)[0][0]
    assert "arrays" not in vars(made)
    monkeypatch.setattr(token_rows, "_MOST_IN_MEMORY", made.nbytes)
    assert isinstance(made.loader(**OPTIONS), ArrayLoader)


def test_the_fingerprint_says_which_rows():
    prints = [
        rows().fingerprint(),
        rows(length=6).fingerprint(),
        rows(layout="whole").fingerprint(),
        rows(vocab_size=41).fingerprint(),
        rows(tokens=gathered(documents()[1:], vocab_size=40)).fingerprint(),
        # Of these only the tokens, or only the places behind the last one, are others.
        rows(tokens=gathered(documents()[:1], vocab_size=40)).fingerprint(),
        rows(tokens=gathered([Encoded(np.array([1, 2, 4]))], vocab_size=40)).fingerprint(),
        rows(7, tokens=gathered(documents()[:1], vocab_size=40)).fingerprint(),
    ]
    assert len(set(prints)) == len(prints)
    assert rows().fingerprint() == prints[0]


def test_they_can_be_checked():
    findings = {finding.name: finding for finding in check_dataset(rows())}
    assert all(finding.ok for finding in findings.values())
    assert "labels from" in findings["label range"].detail
    small = {finding.name: finding for finding in check_dataset(rows(vocab_size=20))}
    assert not small["label range"].ok
    assert "allowed are 0 to 19" in small["label range"].detail


def test_a_batch_has_the_loaders_mask_beside_its_own():
    batch = next(iter(rows().loader(**OPTIONS)))
    assert batch[ROW_MASK].shape == (3,)
    assert batch["mask"].shape == (3, 5)
