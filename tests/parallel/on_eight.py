"""Parameters in pieces, put together for their use; for `test_using.py`, on eight devices."""

import json

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.parallel import (
    Layout,
    again,
    collectives_of,
    gathered,
    make_mesh,
    parts_in_use,
    using,
)

RULES = (("layers/kernel", (None, "fsdp", "tensor")),)


def loss(params, x):
    """Two layers of one stack, one after the other."""

    def layer(x, kernel):
        def inside(kernel, x):
            kernel = gathered({"kernel": kernel}, path="layers", stacked=1)["kernel"]
            return jnp.tanh(x @ kernel)

        return again(inside)(kernel, x), None

    out, _ = jax.lax.scan(layer, x, params["layers"]["kernel"])
    return jnp.sum(out * gathered(params["scale"], path="scale"))


def main(port, number, count):
    random = np.random.default_rng(0)
    params = {
        "layers": {"kernel": random.normal(size=(2, 64, 64)).astype(np.float32) / 8},
        "scale": random.normal(size=64).astype(np.float32),
    }
    x = random.normal(size=(16, 64)).astype(np.float32)
    expected = jax.grad(loss)(params, x)
    found = {"alone": parts_in_use("fsdp")}
    for name, sizes in {"fsdp": (2, 4, 1), "both": (2, 2, 2), "data": (8, 1, 1)}.items():
        layout = Layout(make_mesh(*sizes), RULES)
        places = layout.of(params)

        def on_mesh(params, x, layout=layout):
            with using(layout):
                return loss(params, x)

        rows = jax.sharding.NamedSharding(layout.mesh, jax.sharding.PartitionSpec(("data", "fsdp")))
        compiled = (
            jax.jit(jax.grad(on_mesh), in_shardings=(places, rows), out_shardings=places)
            .lower(params, x)
            .compile()
        )
        grads = compiled(layout.place(params), jax.device_put(x, rows))
        for own, other in zip(jax.tree.leaves(grads), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(own, other, rtol=2e-5, atol=2e-5)
        assert grads["layers"]["kernel"].sharding.spec == places["layers"]["kernel"].spec
        said = collectives_of(compiled)
        found[name] = {
            "gathered": sum(one.count for one in said if one.kind == "all-gather"),
            "parts": sorted({one.parts for one in said if one.kind == "all-gather"}),
        }
        with using(layout):
            found[name]["in use"] = parts_in_use("fsdp"), parts_in_use("tensor")
    print(json.dumps(found), flush=True)
