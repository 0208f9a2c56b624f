"""A run on eight devices that is saved, taken up in new objects, and goes on as the whole one.

python resume_on_mesh.py PORT NUMBER COUNT DIRECTORY
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.checkpoint import CheckpointStore, named_leaves
from jaxtrain.data import ArrayLoader
from jaxtrain.engine import Engine
from jaxtrain.hooks import Checkpoint, resume
from jaxtrain.metrics import Mean
from jaxtrain.parallel import Layout, make_mesh

ROWS = np.arange(24, dtype=np.float32)


def step(state, batch):
    """Draws with the key that it holds, and turns it."""
    key, draw = jax.random.split(state["key"])
    noise = jax.random.normal(draw, state["w"].shape)
    w = state["w"] * 0.9 + noise * batch["x"].sum()
    keys = jax.vmap(lambda one: jax.random.split(one)[0])(state["keys"])
    return {"w": w, "key": key, "keys": keys, "n": state["n"] + 1}, {"size": jnp.abs(w).sum()}


def make():
    key = jax.random.key(5)
    w = jnp.ones((64, 64), jnp.bfloat16)
    return {"w": w.astype(jnp.float32), "key": key, "keys": jax.random.split(key, 8), "n": 0 * w[0]}


def trainer(directory, mesh, form):
    layout = Layout(mesh, rules=(("keys", ("fsdp",)),))
    engine = Engine(step, layout.create(make), form=form)
    engine.add_metrics({"train/size": Mean("size")})
    loader = ArrayLoader({"x": ROWS}, batch_size=8, seed=1)
    store = CheckpointStore(directory, keep=9, monitor="train/size")
    engine.attach(Checkpoint(store, loader, every=2), "checkpoint")
    return engine, loader, store


def seen(engine):
    arrays, _ = engine.snapshot()
    found = {}
    for name, leaf in named_leaves(arrays).items():
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        value = np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes()
        found[name] = (value, leaf.dtype, leaf.sharding if isinstance(leaf, jax.Array) else None)
    return found


def main(_port, _number, _count, directory):
    for form, iteration in (("single", 6), ("fused", 2)):
        mesh = make_mesh(data=2, fsdp=4)
        whole, loader, store = trainer(f"{directory}/{form}", mesh, form)
        whole.run(loader, max_epochs=3)
        ended = seen(whole)
        assert "fsdp" in str(ended["train_state/w"][2].spec), ended["train_state/w"][2]
        assert ended["train_state/keys"][2].spec[0] == "fsdp"
        for saved in [one for one in store.saved() if one.iteration == iteration]:
            again, loader, other = trainer(f"{directory}/{form}-again", mesh, form)
            resume(again, saved, store)
            before = {name: leaf[2] for name, leaf in seen(again).items()}
            again.run(loader, max_epochs=3)
            # Metrics follow the state: a new engine holds theirs on no device in particular.
            state = {name: leaf[2] for name, leaf in ended.items() if name.startswith("train_")}
            moved = {n: (before[n], e) for n, e in state.items() if before[n] != e}
            assert moved == {}, moved
            wrong = [name for name in ended if seen(again)[name] != ended[name]]
            assert wrong == [], wrong
            other.close()
        store.close()
    print("as the whole one")


if __name__ == "__main__":
    main(*sys.argv[1:])
