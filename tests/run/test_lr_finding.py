"""The finder on a task: what it suggests trains."""

import jax

from jaxtrain.engine import Engine
from jaxtrain.run import RunData, Task, lr_find_of

WIDE = ["optimizer.name=adam", "model.hidden=[64]"]


def test_what_it_suggests_for_the_digits_trains_them(digits):
    task = Task.of(RunData.of(digits(*WIDE, "schedule.name=cosine")))
    found = lr_find_of(task, steps=80)
    assert 1e-4 < found.suggestion < 1
    rates = {"found": found.suggestion, "a thousandth": found.suggestion / 1000}
    accuracies = {}
    for name, rate in rates.items():
        overrides = [f"optimizer.learning_rate={rate}", "schedule.name=constant"]
        other = Task.of(RunData.of(digits(*WIDE, *overrides)))
        engine = Engine(other.train_step, other.initial_state())
        engine.run(other.data.loader, max_epochs=3)
        evaluator = Engine(other.eval_step, engine.state.train_state)
        evaluator.add_metrics(other.metrics())
        accuracies[name] = evaluator.run(other.data.eval_loader("test")).metrics["accuracy"]
    assert accuracies["found"] > 0.85
    assert accuracies["a thousandth"] < 0.6
    assert jax.tree.structure(task.initial_state()) == jax.tree.structure(task.abstract_state())
