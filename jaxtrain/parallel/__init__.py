"""Several devices and several hosts: the mesh, what lies where on it, and where processes meet."""

from jaxtrain.parallel.layout import Layout, Rule
from jaxtrain.parallel.meeting import exchange, meet
from jaxtrain.parallel.mesh import batch_sharding, make_mesh, replicated, row_parts

__all__ = [
    "Layout",
    "Rule",
    "batch_sharding",
    "exchange",
    "make_mesh",
    "meet",
    "replicated",
    "row_parts",
]
