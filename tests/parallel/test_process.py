from jaxtrain.parallel.process import is_first, several


def test_a_process_alone_is_the_first_and_the_only():
    # `test_hosts.py` has real ones.
    assert is_first()
    assert not several()
