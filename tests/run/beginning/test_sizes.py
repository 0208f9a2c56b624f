import pytest

from jaxtrain.run import make_config
from jaxtrain.run.beginning.sizes import convolutions, pace, perceptron, remaining


@pytest.mark.parametrize("rows", [1, 10, 400, 401, 2000, 20_000, 20_001, 10**7])
def test_a_pace_for_any_number_of_rows(rows):
    found = pace(rows)
    assert 6 <= found.epochs <= 40
    steps = -(-rows // found.batch_size) * found.epochs
    assert found.learning_rate == (3e-3 if steps < 1000 else 1e-3)
    make_config(found.sections())
    assert found.words() == f"{found.epochs} epochs in batches of {found.batch_size}"


def test_small_data_is_seen_often_and_large_data_seldom():
    assert [pace(n).epochs for n in (100, 2160, 54_000)] == [40, 30, 6]
    assert [pace(n).batch_size for n in (400, 401, 2001, 20_001)] == [16, 32, 64, 128]


@pytest.mark.parametrize("side", [4, 5, 8, 28, 32, 64, 200])
def test_the_blocks_fit_into_the_image(side):
    channels = convolutions((side, 2 * side))
    assert 2 ** len(channels) <= side
    assert side < 8 or side // 2 ** len(channels) >= 4


def test_the_rest():
    make_config({"model": perceptron(10)})
    assert [remaining(1000, test=t, validation=v) for t in (0, 1) for v in (0, 1)] == [
        1000,
        900,
        800,
        720,
    ]
