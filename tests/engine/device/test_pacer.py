import pytest

from jaxtrain.engine.device import pacer
from jaxtrain.engine.device.pacer import LONGEST, Pacer


class Device:
    """Does one dispatch after the other, on a clock of its own."""

    def __init__(self, seconds_each):
        self.now = self.free_at = 0.0
        self.seconds_each = seconds_each
        self.waits = 0

    def launch(self, length):
        """A token of what takes `length` times `seconds_each` from when the device is free."""
        self.free_at = max(self.now, self.free_at) + length * self.seconds_each
        return Token(self, self.free_at)


class Token:
    def __init__(self, device, done_at):
        self.device, self.done_at = device, done_at

    def block_until_ready(self):
        self.device.now = max(self.device.now, self.done_at)
        self.device.waits += 1
        return self


@pytest.fixture
def run(monkeypatch):
    def run(seconds_each, *, seconds=0.5, steps=4096, fused=True):
        """Launch dispatches; returns the device, the chunk, and the longest time ahead of it."""
        device = Device(seconds_each)
        monkeypatch.setattr(pacer.time, "perf_counter", lambda: device.now)
        paced, done, ahead = Pacer(seconds), 0, 0.0
        while done < steps:
            length = min(paced.limit(done), steps - done) if fused else 1
            token = device.launch(length)
            ahead = max(ahead, device.free_at - device.now)
            paced.launched(token, length)
            done += length
        return device, paced.chunk, ahead

    return run


@pytest.mark.parametrize("seconds_each", [1e-5, 1e-3, 0.02, 0.24])
def test_what_is_on_its_way_is_bounded_in_seconds(run, seconds_each):
    for fused in (True, False):
        _, _, ahead = run(seconds_each, fused=fused)
        assert ahead <= 0.5


def test_steps_that_are_longer_than_the_bound_go_two_by_two(run):
    _, chunk, ahead = run(2.0, steps=10)
    assert chunk == 1
    assert ahead <= 4.0


def test_short_steps_become_long_dispatches(run):
    assert run(1e-6, steps=100_000)[1] == LONGEST
    assert run(0.001)[1] == 64  # twice as long, and fewer than eight of them would fit


def test_the_loop_is_woken_once_for_several_dispatches(run):
    device, _, _ = run(0.008, steps=800, fused=False)
    assert device.waits < 800 / 3


def test_there_may_be_no_bound(run):
    assert run(0.1, seconds=float("inf"))[1] == LONGEST


def test_lengths_end_at_multiples_of_the_chunk():
    paced = Pacer(0.5)
    paced.chunk = 8
    assert [paced.limit(i) for i in (0, 3, 7, 8)] == [8, 5, 1, 8]


class First:
    """What the first process says, in turn; and what it was asked with."""

    def __init__(self, *said):
        self.said = list(said)
        self.asked = []

    def __call__(self, wish):
        self.asked.append(wish)
        return self.said.pop(0) if self.said else wish


def lengths(paced, count, done=0):
    """So many dispatches, each as long as it may be."""
    found = []
    for _ in range(count):
        found.append(paced.limit(done))
        done += found[-1]
    return found


def test_of_several_processes_the_first_says_how_long_whatever_a_clock_does():
    slow, fast = (Pacer(0.5, agree=First(2, 2, 4, 8, 8, 8, 8)) for _ in range(2))
    found = {paced: [] for paced in (slow, fast)}
    for _ in range(60):
        for paced, seconds in ((slow, 10.0), (fast, 1e-6)):
            paced._adapt(seconds)
            found[paced] += lengths(paced, 1, sum(found[paced]))
    assert found[slow] == found[fast]
    assert set(found[slow]) == {1, 2, 4, 8}


def test_they_agree_rarer_while_nothing_changes_and_often_after_a_change():
    first = First(1, 1, 8)
    paced = Pacer(0.5, agree=first)
    asked = []
    for number in range(80):
        before = len(first.asked)
        paced.limit(number)
        if len(first.asked) > before:
            asked.append(number)
    # Of lengths 1, 1, 8, and as it was.
    assert asked[:4] == [8, 24, 56, 64]


def test_a_wish_is_a_wish_until_the_first_has_it_too():
    first = First()
    paced = Pacer(0.5, agree=first)
    paced._adapt(1e-6)
    assert lengths(paced, 8) == [1] * 8
    assert lengths(paced, 1)[0] == 2
    assert first.asked == [2]


def test_simulated_devices_are_waited_for_after_each_dispatch(monkeypatch):
    """They share threads: two dispatches on their way may wait for each other for ever."""
    monkeypatch.setattr(pacer.jax, "local_device_count", lambda: 2)
    device, paced = Device(0.001), Pacer(0.5)
    paced.begin()
    for number in range(10):
        paced.launched(device.launch(1), 1)
        assert device.waits == number + 1
    monkeypatch.setattr(pacer.jax, "local_device_count", lambda: 1)
    paced.begin()
    for _ in range(2):
        paced.launched(device.launch(1), 1)
    assert device.waits < 12
