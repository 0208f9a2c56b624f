from tests.optim.parity import assert_theirs, cases


@cases("adadelta")
def test_it_is_pytorchs(case):
    assert_theirs(case)
