"""Safetensors files by hand: as they should be, and as they should not."""

from __future__ import annotations

import json
import struct


def header_of(tensors) -> dict:
    """The header of a safetensors file of some tensors, float32."""
    header, place = {}, 0
    for name, tensor in tensors.items():
        span = [place, place + tensor.nbytes]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": span}
        place = span[1]
    return header


def write_file(path, header, body=b"", *, length=None) -> None:
    """A safetensors file by hand: of a header as it is meant to be, or as it should not be."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + body)
