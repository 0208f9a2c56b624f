import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.lora import Penalty, Protection
from jaxtrain.run import RunData, Task, make_config
from tests.lora.test_protection import ALL, after, by_hand, factors


def value(metric, *outputs):
    state = metric.empty()
    for output in outputs:
        state = metric.update(state, output)
    return float(metric.compute(state))


def test_it_is_what_the_terms_add_to_the_loss():
    _, output = after(ALL, 1, given=factors(1))
    _, overlap, kl = by_hand(ALL, factors(1), [factors(5), factors(6)])
    assert value(Penalty(ALL), output) == pytest.approx(0.3 * overlap + 0.7 * kl, rel=1e-3)
    # The rest is the loss of the task, without any protection's term.
    alone = Protection(project=ALL.project)
    _, plain = after(alone, 1, given=factors(1))
    rest = float(output["loss"]) - value(Penalty(ALL), output)
    assert rest == pytest.approx(float(plain["loss"]), rel=1e-3)


def test_of_several_batches_it_counts_examples_as_the_loss_does():
    one, other = (
        {"loss_weight": jnp.float32(w), "sown": {"protection": {"orthogonal": jnp.float32(x)}}}
        for w, x in ((3, 1.0), (1, 5.0))
    )
    metric = Penalty(Protection(orthogonal=0.5, earlier_rank=1))
    assert value(metric, one, other) == pytest.approx(0.5 * (3 * 1 + 5) / 4)
    # Of micro-batches there is a term each.
    parts = {**one, "sown": {"protection": {"orthogonal": jnp.asarray([1.0, 3.0])}}}
    assert value(metric, parts) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("protect", "there"),
    [
        ({"orthogonal": 0.1, "earlier_rank": 1}, True),
        ({"previous_kl": 0.1}, True),
        ({"project": 0.5}, False),
        ({}, False),
    ],
)
def test_a_run_tells_it_where_there_is_one_and_in_training_alone(protect, there):
    lora = {"rank": 2, "protect": protect}
    task = Task.of(RunData.of(make_config({"lora": lora, "model": {"hidden": [4]}})))
    assert ("penalty" in task.train_metrics()) is there
    assert "penalty" not in task.metrics()
    if there:
        batch = task.data.loader.example()
        _, output = jax.eval_shape(task.train_step, task.abstract_state(), batch)
        metric = task.train_metrics()["penalty"]
        made = jax.eval_shape(lambda o: metric.compute(metric.update(metric.empty(), o)), output)
        assert (made.shape, made.dtype) == ((), np.float32)
