"""Several devices and several hosts: the mesh, what lies where on it, and where processes meet."""

from jaxtrain.parallel.layout import Layout, Rule
from jaxtrain.parallel.meeting import exchange, meet
from jaxtrain.parallel.mesh import batch_sharding, make_mesh, replicated, row_parts
from jaxtrain.parallel.using import again, gathered, parts_in_use, using

__all__ = [
    "Layout",
    "Rule",
    "again",
    "batch_sharding",
    "exchange",
    "gathered",
    "make_mesh",
    "meet",
    "parts_in_use",
    "replicated",
    "row_parts",
    "using",
]
