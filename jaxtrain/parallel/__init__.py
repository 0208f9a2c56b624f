"""Several devices and several hosts: the mesh, what lies where on it, and where processes meet."""

from jaxtrain.parallel.collectives import Collective, collectives_of, summed
from jaxtrain.parallel.hlo import Hlo
from jaxtrain.parallel.layout import Layout, Rule
from jaxtrain.parallel.meeting import exchange, meet
from jaxtrain.parallel.mesh import batch_sharding, make_mesh, replicated, row_parts
from jaxtrain.parallel.work import Work, cost_of, work_of

__all__ = [
    "Collective",
    "Hlo",
    "Layout",
    "Rule",
    "Work",
    "batch_sharding",
    "collectives_of",
    "cost_of",
    "exchange",
    "make_mesh",
    "meet",
    "replicated",
    "row_parts",
    "summed",
    "work_of",
]
