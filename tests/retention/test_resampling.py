"""Tests of jaxtrain.retention.resampling: what an interval is worth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.errors import ConfigError
from jaxtrain.retention import TaskScores
from jaxtrain.retention.resampling import loss_interval, resample, score_interval
from tests.retention.small import drawn, questions

NORMAL = 1.959963984540054


def change(before, after, *, resamples=1000, seed=0):
    """The interval of the change of the score."""
    found = resample([before, after], task="a", seed=seed, resamples=resamples)
    return score_interval(
        after.mean() - before.mean(), found.score[:, 1] - found.score[:, 0], examples=len(before)
    )


def test_the_same_seed_draws_the_same():
    rows = [drawn(1, 20), drawn(2, 20)]
    one, again = (resample(rows, task="a", seed=3, resamples=200) for _ in range(2))
    np.testing.assert_array_equal(one.score, again.score)
    np.testing.assert_array_equal(one.nll, again.nll)
    for other in (
        resample(rows, task="a", seed=4, resamples=200),
        resample(rows, task="b", seed=3, resamples=200),
    ):
        assert not np.array_equal(one.score, other.score)
        assert not np.array_equal(one.nll, other.nll)


def test_many_examples_are_drawn_in_parts(monkeypatch):
    rows = [drawn(1, 20), drawn(2, 20)]
    whole = resample(rows, task="a", seed=0, resamples=200)
    monkeypatch.setattr("jaxtrain.retention.resampling._CHUNK", 24 * 33)
    parts = resample(rows, task="a", seed=0, resamples=200)
    np.testing.assert_allclose(parts.score, whole.score, atol=1e-12)
    np.testing.assert_allclose(parts.nll, whole.nll, atol=1e-12)


def test_a_phase_more_changes_nothing_of_those_before():
    rows = [drawn(seed, 20, tokens=True) for seed in (1, 2, 3)]
    two, three = (resample(rows[:k], task="a", seed=0, resamples=200) for k in (2, 3))
    np.testing.assert_allclose(three.score[:, :2], two.score, atol=1e-12)
    np.testing.assert_allclose(three.nll[:, :2], two.nll, atol=1e-12)


@settings(max_examples=30)
@given(st.integers(1, 12), st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_the_examples_changes_no_bit(number, tokens, random):
    rows = [drawn(seed, number, tokens=tokens) for seed in (1, 2, 3)]
    order = [*range(number)]
    random.shuffle(order)
    shuffled = [TaskScores(r.score[order], r.nll[order], r.weight[order]) for r in rows]
    one, other = (resample(each, task="a", seed=0, resamples=100) for each in (rows, shuffled))
    assert one.score.tobytes() == other.score.tobytes()
    assert one.nll.tobytes() == other.nll.tobytes()


def test_all_rows_are_drawn_together():
    """A model that is right where the other is wrong: what one draw gives one it takes the other.

    And what is the same in both has no change but that of the units.
    """
    before, after = questions(50, 100), questions(50, 100)
    found = resample([before, after], task="a", seed=0, resamples=500)
    np.testing.assert_allclose(found.nll[:, 0], found.nll[:, 1])
    assert np.abs(found.score[:, 1] - found.score[:, 0]).max() <= 8 / 104 + 1e-12
    opposite = TaskScores(1 - before.score, before.nll)
    found = resample([before, opposite], task="a", seed=0, resamples=2000)
    assert np.corrcoef(found.score.T)[0, 1] < -0.95
    alone = resample([before], task="b", seed=0, resamples=2000)
    assert abs(np.corrcoef(alone.score[:, 0], found.score[:, 1])[0, 1]) < 0.1


def test_heavy_examples_count_as_often_as_they_weigh():
    """Without weights both would be right half of the time."""
    scores = TaskScores([1, 0] * 50, [2.0, 1.0] * 50, [9, 1] * 50)
    found = resample([scores], task="a", seed=0, resamples=1000)
    assert found.score.mean() == pytest.approx(0.9, abs=0.01)
    assert found.nll.mean() == pytest.approx(1.9, abs=0.01)


def test_the_spread_is_that_of_the_mean():
    scores = drawn(5, 400)
    found = resample([scores], task="a", seed=0, resamples=4000)
    assert found.nll.std() == pytest.approx(scores.nll.std() / 20, rel=0.05)
    assert found.score.std() == pytest.approx(scores.score.std() / 20, rel=0.05)


def test_the_made_up_units_weigh_one_each():
    """Among thousands of tokens they are nothing, of one question they are most."""
    right = TaskScores([1.0] * 10, [1.0] * 10, [1000] * 10)
    found = resample([right], task="a", seed=0, resamples=1000)
    assert found.score.min() > 0.998
    one = resample([questions(1, 1)], task="a", seed=0, resamples=4000)
    assert one.score.mean() == pytest.approx((1 + 2) / 5, abs=0.02)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_few_questions_that_got_lost_decide_nothing(number):
    """The plain bootstrap is sure of it: [-1, -1]."""
    found = change(questions(number, number), questions(0, number))
    assert found.value == found.low == -1
    assert found.high > 0


def test_a_dozen_questions_that_got_lost_are_lost():
    assert change(questions(12, 12), questions(0, 12)).high < -0.3


def test_nothing_lost_of_few_is_not_sure_either():
    """The plain bootstrap would say [0, 0]."""
    found = change(questions(10, 10), questions(10, 10))
    assert found.low < -0.1
    assert found.high > 0.1


@pytest.mark.parametrize(("right", "total"), [(435 // 2, 435), (80, 100), (30, 30), (0, 30)])
def test_a_proportions_interval_is_about_wilsons(right, total):
    """435 questions at half give 4.7 points to each side."""
    found = resample([questions(right, total)], task="a", seed=0, resamples=4000)
    ours = score_interval(right / total, found.score[:, 0], examples=total)
    squared = NORMAL**2
    centre = (right + squared / 2) / (total + squared)
    half = NORMAL * np.sqrt(right * (total - right) / total + squared / 4) / (total + squared)
    # Never much narrower, and of few that are all right a little wider.
    wilson = max(centre - half, 0), min(centre + half, 1)
    assert wilson[0] - 0.05 < ours.low < wilson[0] + 0.015
    assert wilson[1] - 0.015 < ours.high < wilson[1] + 0.05
    if total == 435:
        assert (ours.high - ours.low) / 2 == pytest.approx(0.047, abs=0.003)


@settings(max_examples=60)
@given(st.data(), st.integers(1, 12), st.booleans())
def test_intervals_contain_the_figure(data, number, tokens):
    seeds = data.draw(st.tuples(st.integers(0, 99), st.integers(0, 99)))
    before, after = (drawn(seed, number, tokens=tokens) for seed in seeds)
    found = resample([before, after], task="a", seed=0, resamples=100)
    for value, draws, interval in (
        (after.mean(), found.score[:, 1], score_interval),
        (after.mean() - before.mean(), found.score[:, 1] - found.score[:, 0], score_interval),
        (after.mean_nll(), found.nll[:, 1], loss_interval),
    ):
        ours = interval(value, draws, examples=number)
        assert ours.low <= ours.value <= ours.high
        assert ours.value == value
    assert 0 <= found.score.min() <= found.score.max() <= 1


def test_ends_are_the_draws_outside_of_the_quantiles():
    """Between 0.02 and 0.03 there is no draw, so the end is at the outer one."""
    assert score_interval(0.5, np.arange(101) / 100, examples=10**6) == (0.5, 0.02, 0.98)


def test_a_figure_beyond_all_draws_is_an_end():
    """The made-up units pull all draws of one question to the middle."""
    draws = np.array([0.2, 0.4])
    assert score_interval(1.0, draws, examples=1) == (1.0, 0.2, 1.0)
    assert score_interval(0.0, draws, examples=1) == (0.0, 0.0, 0.4)


def test_of_one_example_nothing_is_known_of_a_loss():
    found = resample([questions(1, 1)], task="a", seed=0, resamples=100)
    assert loss_interval(1.0, found.nll[:, 0], examples=1) == (1.0, -np.inf, np.inf)


def test_the_interval_of_a_loss_is_students():
    """1, 2 and 3: the mean is 2, its standard error 1 / sqrt(3), t of two degrees 4.303."""
    found = resample([TaskScores([0, 0, 0], [1, 2, 3])], task="a", seed=0, resamples=20_000)
    ours = loss_interval(2.0, found.nll[:, 0], examples=3)
    for half in (ours.high - 2, 2 - ours.low):
        assert half == pytest.approx(4.303 / np.sqrt(3), rel=0.02)


@pytest.mark.parametrize("interval", [score_interval, loss_interval])
def test_few_examples_make_it_wider(interval):
    """By Student's t: of the same draws the ends lie further out."""
    draws = np.random.default_rng(0).normal(size=4000)
    found = [interval(0.0, draws, examples=n) for n in (2, 5, 10, 30, 10**6)]
    widths = [one.high - one.low for one in found]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == pytest.approx(2 * NORMAL, rel=0.05)
    # t of 9 degrees, and of n draws that vary too little: 2.262 * sqrt(10 / 9).
    assert widths[2] == pytest.approx(2 * 2.384, rel=0.05)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"seed": -1}, "seed: expected 0 or more, found -1"),
        ({"resamples": 99}, "resamples: expected at least 100, found 99"),
    ],
)
def test_what_gives_no_interval_is_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        resample([questions(1)], **{"task": "a", "seed": 0, "resamples": 100} | options)


def paired(rng, number, lost, won, both):
    """Questions that are right before, after, both times or never, with these chances."""
    kind = rng.choice(4, size=number, p=[lost, won, both, 1 - lost - won - both])
    nll = np.ones(number)
    return TaskScores((kind == 0) | (kind == 2), nll), TaskScores((kind == 1) | (kind == 2), nll)


@pytest.mark.slow
@pytest.mark.parametrize("number", [5, 20, 100])
@pytest.mark.parametrize(
    "chances", [(0.1, 0.1, 0.5), (0.3, 0.05, 0.3), (0.02, 0.02, 0.95), (0.05, 0.0, 0.9)]
)
def test_95_of_100_intervals_contain_the_truth(number, chances):
    """Of questions drawn anew 250 times; by that, 95 % is measured to 2.7 points."""
    lost, won, both = chances
    rng = np.random.default_rng(number)
    held = sure = of_mean = 0
    for seed in range(250):
        before, after = paired(rng, number, *chances)
        found = change(before, after, resamples=400, seed=seed)
        held += found.low - 1e-9 <= won - lost <= found.high + 1e-9
        sure += found.high < 0
        draws = resample([after], task="a", seed=seed, resamples=400).score[:, 0]
        mean = score_interval(after.mean(), draws, examples=number)
        of_mean += mean.low - 1e-9 <= won + both <= mean.high + 1e-9
    assert held >= 0.915 * 250
    # 18 of 20 give an end of 23 of 24; where 97 % are right, that comes in one set of ten.
    assert of_mean >= 0.87 * 250
    if lost == won:
        assert sure <= 0.05 * 250, "nothing was lost"


@pytest.mark.slow
@pytest.mark.parametrize("number", [3, 8, 40])
def test_95_of_100_intervals_of_a_loss_contain_the_truth(number):
    """Rows of tokens of several lengths, whose loss is skewed."""
    rng = np.random.default_rng(number)
    held = 0
    for seed in range(400):
        weight = rng.integers(20, 60, number)
        rows = TaskScores(np.zeros(number), rng.gamma(4.0, 0.5, number), weight)
        found = resample([rows], task="a", seed=seed, resamples=400)
        ours = loss_interval(rows.mean_nll(), found.nll[:, 0], examples=number)
        held += ours.low <= 2.0 <= ours.high
    assert held >= 0.91 * 400
