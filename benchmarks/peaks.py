"""How many floating-point operations a second a device could do.

peak_flops("NVIDIA H100 80GB HBM3")       # 9.89e14
"""

from __future__ import annotations

# Dense products in bfloat16, summed in float32, operations a second, from the makers' data sheets.
# What a device calls itself begins with the key; the first one that fits counts.
_PEAKS = {
    "NVIDIA B200": 2.25e15,
    "NVIDIA H100 PCIe": 7.56e14,
    "NVIDIA H100 NVL": 8.35e14,
    "NVIDIA H100": 9.89e14,
    "NVIDIA H200": 9.89e14,
    "NVIDIA GH200": 9.89e14,
    "NVIDIA A100": 3.12e14,
    "NVIDIA L40S": 3.62e14,
    "NVIDIA L4": 1.21e14,
    "NVIDIA A10": 1.25e14,
    "NVIDIA GeForce RTX 4090": 1.652e14,
    "NVIDIA GeForce RTX 3090": 7.1e13,
}


def peak_flops(device_kind: str) -> float | None:
    """What the device could do in a second; None where that is not known here."""
    found = (peak for name, peak in _PEAKS.items() if device_kind.startswith(name))
    return next(found, None)
