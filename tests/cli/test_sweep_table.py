"""The table of a sweep's members."""

from __future__ import annotations

from jaxtrain.cli.sweep_table import print_table
from jaxtrain.sweeps.ledger import Row


def _row(member, value, rate, status="finished"):
    return Row(
        member=member,
        batch=0,
        group=0,
        values={"optimizer.learning_rate": rate, "model.hidden": [64, 32]},
        status=status,
        epochs=9,
        iterations=90,
        monitor="val/accuracy",
        value=value,
        best_epoch=None if value is None else 7,
        failed_at=5 if status == "failed" else None,
    )


def test_the_best_come_first(capsys):
    rows = [_row(0, 0.5, 0.1), _row(1, None, 0.2, "failed"), _row(2, 0.9, 0.012345)]
    print_table(rows, "auto", top=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "member",
        "learning_rate",
        "hidden",
        "best",
        "val/accuracy",
        *lines[0].split()[5:],
    ]
    assert lines[1].split()[:2] == ["2", "0.01235"]
    assert "[64, 32]" in lines[1]
    assert lines[2].split()[:2] == ["0", "0.1"]
    assert lines[3] == "3 members: 2 finished, 1 failed"
    print_table(rows, "min", top=1)
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "0"


def test_what_it_hung_on(capsys):
    print_table([_row(n, 0.1 * n, 0.1 * n) for n in range(12)], "auto", top=3)
    assert "what it hung on: optimizer.learning_rate 1.00, model.hidden 0.00" in (
        capsys.readouterr().out
    )
