"""Fault 6, of several processes: SIGKILL of one of them, at every phase of a save that all make."""

from __future__ import annotations

import signal

import pytest

from jaxtrain.checkpoint import take_survey
from tests.processes import end_together, run_together

SCRIPT = "tests/faults/killed_together.py"
ROOM = "jaxtrain.checkpoint"
# Which process, where, at which call since the third save began, and whether that save is there.
FIRST = [
    (1, f"{ROOM}.shared:write_share", 1, "within", False),  # of the base
    (1, f"{ROOM}.shared:digest_files", 2, "before", False),
    # Behind the seventh meeting the first one commits alone, and may have done so by then.
    (1, f"{ROOM}.together:exchange", 8, "before", None),
    (0, f"{ROOM}.committer:merge_shares", 1, "after", False),
    (0, "os:rename", 2, "after", True),  # that of the commit; the first is that of the base
    (0, f"{ROOM}.committer:Committer._prune", 1, "before", True),
]
ALL = [
    *((1, f"{ROOM}.together:exchange", nth, "before", False) for nth in range(1, 8)),
    *((1, f"{ROOM}.together:exchange", nth, "after", False) for nth in (1, 4)),
    (1, f"{ROOM}.together:exchange", 7, "after", None),
    (1, f"{ROOM}.together:exchange", 8, "after", True),
    *((1, f"{ROOM}.shared:write_share", 1, when, False) for when in ("before", "after")),
    *((1, f"{ROOM}.shared:write_share", 2, w, False) for w in ("before", "within", "after")),
    *((1, f"{ROOM}.shared:digest_files", nth, "after", False) for nth in (1, 2)),
    *((0, f"{ROOM}.committer:Committer._sweep", 1, w, False) for w in ("before", "after")),
    *((0, f"{ROOM}.shared:write_share", nth, "within", False) for nth in (1, 2)),
    *((0, f"{ROOM}.shared:merge_shares", 1, w, False) for w in ("before", "after")),
    *((0, f"{ROOM}.shared:digest_of", 1, w, False) for w in ("before", "after")),
    *((0, f"{ROOM}.shared:write_manifest", 1, w, False) for w in ("before", "after")),
    *((0, "os:rename", nth, "before", nth > 2) for nth in (1, 2, 3, 4)),
    (0, f"{ROOM}.committer:merge_shares", 1, "before", False),
    *((0, f"{ROOM}.committer:write_manifest", 1, w, False) for w in ("before", "within", "after")),
    *((0, f"{ROOM}.committer:sync", 1, w, True) for w in ("before", "after")),
    *((0, f"{ROOM}.committer:Committer._prune", 1, w, True) for w in ("within", "after")),
    *((0, "shutil:rmtree", nth, w, True) for nth in (1, 2) for w in ("before", "after")),
    (0, f"{ROOM}.together:exchange", 8, "after", True),
]


def check(directory, victim, target, nth, when, committed, restored_by):
    details = (directory, "save", victim, target, nth, when)
    codes, said = end_together(SCRIPT, 2, *details, devices=2)
    assert codes[victim] == -signal.SIGKILL, said
    survey = take_survey(directory, monitor="val/loss", mode="min")
    listed = [found for found in survey.found if not found.path.name.startswith(".tmp")]
    assert [found.fault for found in listed] == [""] * len(listed)
    found = run_together(SCRIPT, restored_by, directory, "restore", devices=1)
    (iteration,) = {text.splitlines()[-1] for text in found}
    assert iteration in {True: "3", False: "2", None: "23"}[committed]


@pytest.mark.parametrize(("victim", "target", "nth", "when", "committed"), FIRST)
def test_fault_6_one_of_two_is_killed(tmp_path, victim, target, nth, when, committed):
    check(tmp_path / "run", victim, target, nth, when, committed, restored_by=1)


@pytest.mark.slow
@pytest.mark.parametrize(("victim", "target", "nth", "when", "committed"), ALL)
def test_fault_6_one_of_two_is_killed_at_every_phase(
    tmp_path, victim, target, nth, when, committed
):
    check(tmp_path / "run", victim, target, nth, when, committed, restored_by=3)
