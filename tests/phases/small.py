"""Two small phases on digits, and a base before them."""

from __future__ import annotations

from tests.phases.test_phased_config import TREE

SMALL = {
    **TREE,
    "data": {"name": "digits", "batch_size": 320},
    "train": {"epochs": 1},
    "base": {"data": {"split_seed": 1}},
    "hooks": {"progress": None, "console": None, "csv": None},
}


def small(**phases):
    tree = {**SMALL, "phases": {name: dict(own) for name, own in SMALL["phases"].items()}}
    for name, own in phases.items():
        tree["phases"][name] = own
    return tree
