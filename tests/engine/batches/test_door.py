"""Whatever an engine is given to run over."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.data import ArrayLoader
from jaxtrain.engine import Engine
from jaxtrain.engine.batches.door import (
    PlainIterable,
    as_arrays,
    as_loader,
    example_of,
    length_of,
    refuse_unnamed,
)
from jaxtrain.step import cross_entropy

ROWS = np.arange(6, dtype=np.float32)


def test_a_loader_is_taken_as_it_is():
    loader = ArrayLoader({"x": ROWS}, batch_size=2)
    assert as_loader(loader) is loader
    assert length_of(loader) == 3
    assert example_of(loader)["x"] == jax.ShapeDtypeStruct((2,), np.float32)


@pytest.mark.parametrize("given", [[1, 2], (1, 2), iter([1, 2]), (i for i in (1, 2)), {1: 0, 2: 0}])
def test_an_iterable_is_used_up_as_it_goes(given):
    plain = as_loader(given)
    assert isinstance(plain, PlainIterable)
    assert plain.first() == 1  # looking takes nothing away
    assert plain.first() == 1
    assert plain.ahead(5) == [1, 2]


def drawn(plain, most=99):
    """Batches, each of them used, up to the end."""
    found = []
    while len(found) < most and (batch := plain.ahead(1)):
        plain.drop(1)
        found += batch
    if len(found) < most:
        plain.begin_again()
    return found


def test_it_goes_on_where_it_was_left():
    plain = as_loader([1, 2, 3])
    assert drawn(plain, 1) == [1]
    assert plain.ahead(2) == plain.ahead(2) == [2, 3]  # looking takes nothing away
    assert drawn(plain) == [2, 3]
    assert drawn(plain) == [1, 2, 3]
    drawn(plain, 1)
    plain.restart()
    assert drawn(plain) == [1, 2, 3]


def test_an_iterator_can_not_be_restarted():
    plain = as_loader(iter([1, 2, 3]))
    drawn(plain, 1)
    plain.restart()
    assert drawn(plain) == [2, 3]


class Anything:
    """Answers to every name, as some metrics and mocks do."""

    def __getattr__(self, name):
        return lambda *args: 1

    def __iter__(self):
        return iter([1])


def test_attributes_of_the_object_are_enough():
    class Mine:
        def __init__(self):
            self.batch_size, self.steps_per_epoch = 2, 3

        def fingerprint(self): ...
        def example(self): ...
        def start(self, epoch=0): ...
        def batches(self, cursor=None): ...

    mine = Mine()
    assert as_loader(mine) is mine


def test_the_type_is_asked_not_the_object():
    assert isinstance(as_loader(Anything()), PlainIterable)


@pytest.mark.parametrize("given", [5, None, object()])
def test_what_can_not_be_iterated_over_is_refused(given):
    with pytest.raises(TypeError, match="expected a loader or an iterable of batches"):
        as_loader(given)


def test_an_empty_iterable_has_no_first_batch():
    with pytest.raises(ValueError, match="the loader gave no batch: it is empty"):
        as_loader([]).first()
    assert length_of(as_loader([])) is None


def test_torch_tensors_become_arrays_without_a_copy():
    torch = pytest.importorskip("torch")
    tensor = torch.arange(4, dtype=torch.float32)
    batch = as_arrays({"x": tensor, "n": [torch.tensor(3)], "y": ROWS})
    assert isinstance(batch["x"], np.ndarray)
    assert batch["x"].__array_interface__["data"][0] == tensor.data_ptr()
    assert batch["n"][0] == 3
    assert batch["y"] is ROWS
    assert as_arrays(tensor.requires_grad_()).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("form", ["single", "fused"])
def test_an_engine_runs_over_a_torch_dataloader(form):
    """R11: with the collation that torch has by default."""
    torch = pytest.importorskip("torch")
    rows = [{"x": torch.tensor([float(i)]), "y": i} for i in range(6)]
    loader = torch.utils.data.DataLoader(rows, batch_size=2)
    engine = Engine(
        lambda s, b: (s + b["x"].sum() * 10 + b["y"].sum(), {}), jnp.float32(0), form=form
    )
    assert float(engine.run(loader, max_epochs=2).train_state) == 2 * (150 + 15)
    seen = []
    Engine(lambda engine, batch: seen.append(batch)).run(loader)
    assert isinstance(seen[0]["x"], torch.Tensor)  # a process function gets what there is


@pytest.mark.parametrize("batch", [(ROWS, ROWS), [ROWS, ROWS]])
def test_a_batch_without_names_says_what_to_do(batch):
    from jaxtrain.models import Model
    from jaxtrain.step import make_eval_step

    model = Model(lambda rng, batch: {"params": {}}, lambda v, b, **_: (b["inputs"], {}))
    step = make_eval_step(model, cross_entropy())
    with pytest.raises(TypeError, match=r"of 2, and the step can't take that; .*a dict of arrays"):
        Engine(step, {"params": {}}).run([batch])
    refuse_unnamed({"inputs": ROWS})


def test_a_step_of_ones_own_may_take_tuples():
    engine = Engine(lambda s, b: (s + b[0].sum() - b[1].sum(), {}), jnp.float32(0))
    assert float(engine.run([(ROWS, ROWS / 2)]).train_state) == 7.5
