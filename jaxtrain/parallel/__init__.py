"""Several devices and hosts: the mesh, what lies where on it, and where processes meet."""

from jaxtrain.parallel.agreeing import agreed
from jaxtrain.parallel.collectives import Collective, collectives_of, summed
from jaxtrain.parallel.hlo import Hlo
from jaxtrain.parallel.hosts import finish, start
from jaxtrain.parallel.layout import Layout, Rule
from jaxtrain.parallel.meeting import exchange, hear, meet
from jaxtrain.parallel.mesh import batch_sharding, make_mesh, replicated, row_parts
from jaxtrain.parallel.places import place_of
from jaxtrain.parallel.process import is_first, several
from jaxtrain.parallel.together import Together
from jaxtrain.parallel.using import again, gathered, parts_in_use, using
from jaxtrain.parallel.work import Work, cost_of, work_of

__all__ = [
    "Collective",
    "Hlo",
    "Layout",
    "Rule",
    "Together",
    "Work",
    "again",
    "agreed",
    "batch_sharding",
    "collectives_of",
    "cost_of",
    "exchange",
    "finish",
    "gathered",
    "hear",
    "is_first",
    "make_mesh",
    "meet",
    "parts_in_use",
    "place_of",
    "replicated",
    "row_parts",
    "several",
    "start",
    "summed",
    "using",
    "work_of",
]
