from jaxtrain.optim import constant


def test_it_is_a_number():
    assert constant(0.1) == 0.1
