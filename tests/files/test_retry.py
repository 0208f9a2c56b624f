import pytest

from jaxtrain.files.retry import Retry


def failing(times, error):
    """A function that raises `error` that many times, then returns how often it was called."""
    calls = []

    def function():
        calls.append(None)
        if len(calls) <= times:
            raise error
        return len(calls)

    function.calls = calls
    return function


def test_first_success_is_returned_without_a_pause():
    pauses = []
    assert Retry(sleep=pauses.append).call(failing(0, OSError()), on=(OSError,)) == 1
    assert pauses == []


def test_pauses_double():
    pauses = []
    retry = Retry(attempts=4, base=0.5, sleep=pauses.append)
    assert retry.call(failing(3, OSError()), on=(OSError,)) == 4
    assert pauses == [0.5, 1.0, 2.0]


def test_default_is_three_attempts_from_one_second():
    assert Retry().attempts == 3
    assert Retry().delays() == (1.0, 2.0)


def test_last_failure_comes_out_as_it_is():
    error = OSError("the third")
    function = failing(9, error)
    with pytest.raises(OSError, match="the third") as caught:
        Retry(sleep=lambda _: None).call(function, on=(OSError,))
    assert caught.value is error
    assert len(function.calls) == 3


def test_other_errors_are_not_tried_again():
    function = failing(9, KeyError("x"))
    with pytest.raises(KeyError):
        Retry(sleep=lambda _: None).call(function, on=(OSError,))
    assert len(function.calls) == 1


def test_one_attempt_never_pauses():
    pauses = []
    with pytest.raises(OSError):
        Retry(attempts=1, sleep=pauses.append).call(failing(9, OSError()), on=(OSError,))
    assert pauses == []


@pytest.mark.parametrize("options", [{"attempts": 0}, {"base": -1.0}])
def test_impossible_options(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Retry(**options)
