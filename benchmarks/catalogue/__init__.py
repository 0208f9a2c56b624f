"""Models of the catalogue, here and of PyTorch's layers, each by a step of AdamW.

Importing this package imports none of the frameworks.
"""

from benchmarks.catalogue.cases import CASES, FRAMEWORKS, Case, training

__all__ = ["CASES", "FRAMEWORKS", "Case", "training"]
