"""How fast devices multiply matrices at best, as their makers say: what MFU is a share of.

peak_of("NVIDIA H100 80GB HBM3")                 # 989.5e12, of floating-point operations a second
peak_of("NVIDIA GeForce RTX 4090")               # None: not known here

By the whole name, not a part of it: cards of one family differ by a third.
"""

from __future__ import annotations

# In bfloat16, a device, without the sparsity by which data sheets of NVIDIA double their figures.
# A100: NVIDIA A100 Tensor Core GPU data sheet, 312 TFLOPS, SXM and PCIe alike.
# H100: NVIDIA H100 Tensor Core GPU data sheet, with sparsity 1,979 (SXM), 1,513 (PCIe, in its first
#   edition) and 1,671 (NVL) TFLOPS.
# H200: NVIDIA H200 Tensor Core GPU data sheet, with sparsity 1,979 (SXM) and 1,671 (NVL) TFLOPS.
# TPU: cloud.google.com/tpu/docs/v4, v5e, v5p, v6e, "peak compute per chip (bf16)".
_TFLOPS = {
    "NVIDIA A100-SXM4-40GB": 312.0,
    "NVIDIA A100-SXM4-80GB": 312.0,
    "NVIDIA A100-PCIE-40GB": 312.0,
    "NVIDIA A100 80GB PCIe": 312.0,
    "NVIDIA H100 80GB HBM3": 989.5,
    "NVIDIA H100 PCIe": 756.5,
    "NVIDIA H100 NVL": 835.5,
    "NVIDIA H200": 989.5,
    "NVIDIA H200 NVL": 835.5,
    "TPU v4": 275.0,
    "TPU v5 lite": 197.0,  # v5e
    "TPU v5e": 197.0,
    "TPU v5": 459.0,  # v5p
    "TPU v5p": 459.0,
    "TPU v6 lite": 918.0,  # v6e
    "TPU v6e": 918.0,
}


def peak_of(device_kind: str) -> float | None:
    """Floating-point operations a second in bfloat16, dense; None where it is not known here.

    Args:
        device_kind: as `jax.Device` has it.
    """
    found = _TFLOPS.get(device_kind)
    return None if found is None else found * 1e12
