"""Meetings: all bring something and learn all of it, or it is said who is missing."""

import json

import pytest

from jaxtrain.errors import PeerError
from jaxtrain.parallel import exchange, hear, meet
from jaxtrain.parallel.meeting import client
from tests.processes import run_together


@pytest.fixture(scope="module")
def said():
    texts = run_together("tests/parallel/meetings.py", 3)
    return [json.loads(text.splitlines()[-1]) for text in texts]


def test_all_learn_what_each_has_brought_in_each_turn(said):
    for one in said:
        assert one["values"] == [[f"{p}-{turn}" for p in range(3)] for turn in range(3)]
        assert one["beside"] == ["0", "10", "20"]


def test_what_was_read_is_taken_away(said):
    # Of the last turn all is still there: somebody may not have read it yet.
    assert {one["left"] for one in said} == {3}


def test_the_first_is_heard_whatever_the_others_would_say(said):
    for one in said:
        assert one["heard"] == ["0 says 0", "0 says 1"]


def test_who_does_not_come_is_named_in_time(said):
    assert "missing" not in said[1]
    for one in (said[0], said[2]):
        assert one["missing"] == (
            "missing one: waited 1 s for all 3 processes of the run; missing: 1"
        )
        assert 0.9 < one["seconds"] < 15


def test_one_process_alone_waits_for_nobody():
    assert exchange("alone", "mine") == ["mine"]
    assert hear("alone", "mine") == "mine"
    meet("alone", seconds=0)


def test_without_a_coordinator_there_is_no_client():
    with pytest.raises(PeerError, match="no coordinator"):
        client()
