"""Options of metrics of classes, none of them at its default."""

from typing import Any

PATHS: dict[str, Any] = {
    "ignore_label": -100,
    "outputs": "outputs.a",
    "labels": "labels.a",
    "mask": None,
}
OPTIONS: dict[str, Any] = {"average": "macro", "zero_division": "nan", **PATHS}
SCORES: dict[str, Any] = {
    "average": "weighted",
    "multilabel": True,
    "scores": "probabilities",
    **PATHS,
}
