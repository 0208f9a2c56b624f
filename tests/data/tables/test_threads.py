"""Threads whose results come in order."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from jaxtrain.data.tables.threads import cores, in_order


def test_results_come_in_order_though_the_first_is_the_last_to_end(monkeypatch):
    monkeypatch.setattr("jaxtrain.data.tables.threads.cores", lambda: 2)
    second_is_done = threading.Event()

    def work(number):
        if number == 0:
            second_is_done.wait()
        elif number == 1:
            second_is_done.set()
        return number

    assert list(in_order(partial(work, number) for number in range(20))) == list(range(20))


def test_no_more_is_begun_than_is_needed(monkeypatch):
    monkeypatch.setattr("jaxtrain.data.tables.threads.cores", lambda: 2)
    begun = []

    def tasks():
        for number in range(100):
            begun.append(number)
            yield lambda: None

    results = in_order(tasks())
    next(results)
    assert len(begun) == 4
    results.close()


def test_an_exception_comes_in_its_place():
    def work(number):
        if number:
            raise ValueError(str(number))
        return number

    results = in_order(partial(work, number) for number in range(9))
    assert next(results) == 0
    with pytest.raises(ValueError, match="1"):
        next(results)


def test_there_is_a_core():
    assert cores() >= 1
