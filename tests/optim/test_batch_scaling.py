import pytest

from jaxtrain.config import OptimizerSection, ScheduleSection
from jaxtrain.errors import ConfigError
from jaxtrain.optim import OPTIMIZERS, learning_rate, make_optimizer, peak_rate


@pytest.mark.parametrize(
    ("scaling", "batch_size", "rate"),
    [
        (None, 1024, 0.1),
        ({"rule": "linear"}, 1024, 0.4),
        ({"rule": "linear", "base": 64}, 32, 0.05),
        ({"rule": "square_root"}, 1024, 0.2),
        ({"rule": "square_root", "base": 512}, 32, 0.025),
    ],
)
def test_the_peak_goes_with_the_batch(scaling, batch_size, rate):
    section = OptimizerSection(learning_rate=0.1, batch_scaling=scaling)
    assert peak_rate(section, batch_size) == pytest.approx(rate)


def test_it_is_applied_once():
    given = {"name": "sgd", "learning_rate": 0.1, "batch_scaling": {"rule": "linear", "base": 8}}
    section = OPTIMIZERS.schema("sgd", OptimizerSection).model_validate(given)
    tx = make_optimizer(section, ScheduleSection(), 10, batch_size=16)
    assert float(learning_rate(tx.init({}))) == pytest.approx(0.2)


def test_without_a_batch_size_it_is_refused():
    section = OptimizerSection(batch_scaling={"rule": "linear"})
    with pytest.raises(ConfigError, match=r"optimizer.batch_scaling: .* batch_size="):
        peak_rate(section, None)


@pytest.mark.parametrize(("rate", "batch_size"), [(1.0, 4096), (1e-8, 16)])
def test_what_no_rate_can_be_is_refused(rate, batch_size):
    section = OptimizerSection(learning_rate=rate, batch_scaling={"rule": "linear", "base": 64})
    with pytest.raises(ConfigError, match=f"between 1e-08 and 10 for batches of {batch_size}"):
        peak_rate(section, batch_size)
