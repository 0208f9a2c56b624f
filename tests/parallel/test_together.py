"""Whoever is asked to stop, all stop at the same place, wherever they are."""

from __future__ import annotations

import json
import threading

import pytest

from jaxtrain.errors import PeerError
from jaxtrain.parallel import together
from jaxtrain.parallel.together import Together
from tests.processes import run_together


def test_real_processes_stop_at_the_same_iteration_each_time(tmp_path):
    rounds = 8
    run_together("tests/parallel/engine_run.py", 2, tmp_path / "out", rounds)
    first, second = (json.loads((tmp_path / f"out.{n}.json").read_text()) for n in (0, 1))
    assert len(first) == rounds
    assert first == second
    assert {stopped for stopped, *_ in first} == {"interrupt"}
    # A validation was over, or it was left, and is as if it had not begun.
    assert {iteration for *_, iteration, _ in first} <= {0, 40}


class Coordinator:
    """The keys and values of several processes, which are threads here."""

    def __init__(self, count):
        self.count = count
        self.entries = {}

    def key_value_set(self, key, value, allow_overwrite=False):
        self.entries[key] = value

    def key_value_dir_get(self, root):
        return [(key, value) for key, value in self.entries.items() if key.startswith(root)]


@pytest.fixture
def stops(monkeypatch):
    """The stops of so many processes, without their watchers: `look` is called by hand."""

    def stops(count):
        coordinator, own = Coordinator(count), threading.local()
        monkeypatch.setattr(together.jax, "process_count", lambda: count)
        monkeypatch.setattr(together.jax, "process_index", lambda: own.number)
        monkeypatch.setattr(together, "client", lambda: coordinator)
        made = [Together(7) for _ in range(count)]

        def look(number):
            own.number = number
            made[number].look(coordinator, dict(coordinator.entries))

        return made, look

    return stops


def pass_by(stop, places):
    return [stop.reached() for _ in range(places)]


def test_the_stop_is_at_the_first_place_that_is_behind_nobody(stops):
    made, look = stops(3)
    pass_by(made[0], 5)
    pass_by(made[1], 2)
    made[1].ask()
    look(1)  # tells that it is asked for, and where it is
    pass_by(made[2], 3)
    for number in (0, 2, 0, 1, 2):
        look(number)
    assert pass_by(made[0], 1) == [True]
    assert pass_by(made[1], 4) == [False, False, False, True]
    assert pass_by(made[2], 3) == [False, False, True]


def test_the_gate_is_closed_from_when_it_was_told_until_all_have_told(stops):
    made, look = stops(2)
    made[0].ask()
    look(0)
    reached = []
    waiting = threading.Thread(target=lambda: reached.append(made[0].reached()))
    waiting.start()
    look(0)
    waiting.join(timeout=0.2)
    assert waiting.is_alive()
    look(1)
    look(0)
    waiting.join(timeout=60)
    assert reached == [True]
    look(1)
    assert made[1].reached()


def test_nobody_is_stopped_who_was_not_asked(stops):
    made, look = stops(2)
    for number in (0, 1, 0, 1):
        look(number)
    assert pass_by(made[0], 3) == [False] * 3


def test_a_stop_is_over_with_its_place_and_the_next_is_another(stops):
    made, look = stops(2)
    for turn in range(3):
        made[turn % 2].ask()
        made[0].ask()
        for number in (0, 1, 0, 1):
            look(number)
        assert [made[n].reached() for n in (0, 1)] == [True, True]
        for number in (0, 1, 0, 1):
            look(number)
        assert [pass_by(made[n], 2) for n in (0, 1)] == [[False, False]] * 2


def test_who_does_not_tell_in_time_is_named(stops, monkeypatch):
    monkeypatch.setattr(together, "SECONDS", 0.1)
    made, look = stops(3)
    made[0].ask()
    look(0)
    look(2)
    with pytest.raises(PeerError, match=r"missing: 1$"):
        made[0].reached()


def test_a_process_alone_has_none():
    assert Together.of_next() is None
