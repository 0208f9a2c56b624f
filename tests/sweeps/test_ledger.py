"""Tests of jaxtrain.sweeps.ledger."""

import math

import pydantic
import pytest

from jaxtrain.errors import DataError
from jaxtrain.sweeps.ledger import (
    Asked,
    AskedMember,
    Row,
    append_asked,
    append_rows,
    read_asked,
    read_rows,
)


def row(member=0, **changes):
    told = {
        "member": member, "batch": 0, "group": 0, "values": {"lr": 0.1, "model.hidden": (4, 8)},
        "status": "finished", "epochs": 3, "iterations": 30, "monitor": "val/loss",
        "value": 0.5, "best_epoch": 2, "figures": {"val/loss": 0.5}, "rungs": ((1, 0.9),),
    }  # fmt: skip
    return Row(**{**told, **changes})


def test_what_was_written_is_read_and_the_last_line_wins(tmp_path):
    path = tmp_path / "sweep.jsonl"
    assert read_rows(path) == ()
    append_rows(path, [row(1), row(0)])
    append_rows(path, [row(1, epochs=9, value=0.25, best_epoch=9)])
    assert read_rows(path) == (row(0), row(1, epochs=9, value=0.25, best_epoch=9))
    assert read_rows(path)[0].values["model.hidden"] == [4, 8]
    assert len(path.read_text().splitlines()) == 3


def test_a_torn_line_is_dropped_and_told_and_never_glued(tmp_path, caplog):
    path = tmp_path / "sweep.jsonl"
    append_rows(path, [row(0)])
    with path.open("a") as file:
        file.write('{"member": 1, "ba')
    assert read_rows(path) == (row(0),)
    assert "dropped a torn last line of 17 bytes" in caplog.text
    append_rows(path, [row(2)])
    assert [one.member for one in read_rows(path)] == [0, 2]


def test_nan_is_null_and_values_may_not_be(tmp_path):
    path = tmp_path / "sweep.jsonl"
    failed = row(
        status="failed", failed_at=7, value=math.nan, best_epoch=None,
        figures={"val/loss": math.inf}, rungs=((1, math.nan),),
    )  # fmt: skip
    append_rows(path, [failed])
    (found,) = read_rows(path)
    assert (found.value, found.figures, found.rungs) == (None, {"val/loss": None}, ((1, None),))
    for wrong in (math.nan, object()):
        with pytest.raises(pydantic.ValidationError):
            row(values={"lr": wrong})


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('"epochs": 3', '"epochs": "3"', r"sweep.jsonl:2: epochs: .*integer.*, found '3'"),
        ('"epochs": 3', '"epochs": 1', "sweep.jsonl:2: .*best_epoch 2: expected at most 1"),
        ('"finished"', '"done"', "sweep.jsonl:2: status: .*found 'done'"),
        ('"finished"', '"failed"', "sweep.jsonl:2: .*failed_at None: does not go with 'failed'"),
        ('"value": 0.5', '"value": null', "sweep.jsonl:2: .*expected both"),
        ('"group": 0, ', "", "sweep.jsonl:2: group: Field required$"),
        ('"group": 0', '"grup": 0', "sweep.jsonl:2: "),
        ('"member": 1', '"member": -1', "sweep.jsonl:2: member: .*found -1"),
        ('{"member": 1', '{"member": 1}', "sweep.jsonl:2: Invalid JSON"),
        ('"val/loss", "value"', '"val/nll", "value"', "sweep.jsonl:2: monitor: .*'val/nll'"),
    ],
)  # fmt: skip
def test_a_line_edited_by_hand_is_named(tmp_path, before, after, told):
    path = tmp_path / "sweep.jsonl"
    append_rows(path, [row(0), row(1)])
    first, second = path.read_text().splitlines(keepends=True)
    assert before in second
    path.write_text(first + second.replace(before, after))
    with pytest.raises(DataError, match=told):
        read_rows(path)


def test_a_member_keeps_its_values(tmp_path):
    path = tmp_path / "sweep.jsonl"
    append_rows(path, [row(0), row(0, values={"lr": 0.2})])
    with pytest.raises(DataError, match=r"sweep\.jsonl:2: member 0: expected the values of line 1"):
        read_rows(path)


def test_a_member_is_asked_for_once(tmp_path):
    path = tmp_path / "asked.jsonl"
    batches = [
        Asked(batch=at, members=(AskedMember(member=at, values={"lr": 0.1}, trial=at or None),))
        for at in (0, 1)
    ]
    for one in batches:
        append_asked(path, one)
    assert read_asked(path) == tuple(batches)
    append_asked(path, Asked(batch=2, members=batches[0].members))
    with pytest.raises(DataError, match=r"asked\.jsonl:3: member 0 is in batch 0 already"):
        read_asked(path)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:1] * 2))
    with pytest.raises(DataError, match=r"asked\.jsonl:2: batch 0 is there twice"):
        read_asked(path)
