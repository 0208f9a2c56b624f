import pytest

from jaxtrain.checkpoint.together import ALONE, Together
from tests.processes import run_together


def test_two_processes_save_look_and_load_together(tmp_path):
    """See the functions of that program: each says what is true of two processes."""
    said = run_together("tests/checkpoint/two_processes.py", 2, tmp_path, devices=2)
    assert [text.splitlines()[-1] for text in said] == ["all well", "all well"]


def test_a_process_alone_meets_nobody_and_raises_what_it_raises():
    for together in (ALONE, Together("a/checkpoints")):
        assert (together.count, together.own, together.first) == (1, 0, True)
        assert together.do("step", lambda: 3) == 3
        assert together.share("step", lambda: "x") == ["x"]
        assert together.agreed_fault("step", "") == ""
        assert together.agreed_fault("step", "torn") == "torn"
        with pytest.raises(ZeroDivisionError):
            together.do("step", lambda: 1 / 0)
