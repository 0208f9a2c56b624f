"""Adapters for the small decoder in files: as they should be, and changed by hand."""

from __future__ import annotations

import json

from safetensors.numpy import load_file, save_file

from jaxtrain import lora
from tests.lora import small

CONFIG = "adapter_config.json"
TENSORS = "adapter_model.safetensors"
KEY = "base_model.model.model.layers.{}.self_attn.{}_proj.lora_{}.weight"

OPTIONS = {
    "rank": 3,
    "alpha": 6.0,
    "targets": ("q", "v"),
    "rank_pattern": {},
    "alpha_pattern": {},
}


def written(path, **options):
    """A directory with an adapter for `small.params()`."""
    adapter = small.adapter(**(OPTIONS | options))
    return lora.save_lora(path / "adapter", adapter, params=small.params())


def change_entries(path, changes, *, without=()):
    """Other entries in adapter_config.json."""
    entries = json.loads((path / CONFIG).read_text()) | changes
    entries = {key: value for key, value in entries.items() if key not in without}
    (path / CONFIG).write_text(json.dumps(entries))
    return path


def change_tensors(path, change):
    """Other tensors: `change` gets them by name, and changes the mapping."""
    tensors = {key: value.copy() for key, value in load_file(path / TENSORS).items()}
    change(tensors)
    save_file(tensors, path / TENSORS, metadata={"format": "pt"})
    return path
