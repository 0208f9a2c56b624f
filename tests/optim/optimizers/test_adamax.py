from tests.optim.parity import assert_theirs, cases


@cases("adamax")
def test_it_is_pytorchs(case):
    assert_theirs(case)
