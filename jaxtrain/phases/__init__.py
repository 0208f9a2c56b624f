"""Progressive training: phase after phase, with a ledger and a report of what was forgotten.

progressive = Progressive(PhasedConfig.of("configs/korean_medical.py"))
progressive.train().print()
"""

from jaxtrain.phases.ledger import Entry, Ledger, digest_of
from jaxtrain.phases.phased_config import Phase, PhasedConfig, is_phased
from jaxtrain.phases.planning import describe_phases
from jaxtrain.phases.progressive import Progressive
from jaxtrain.phases.scoring import baseline, score

__all__ = [
    "Entry",
    "Ledger",
    "Phase",
    "PhasedConfig",
    "Progressive",
    "baseline",
    "describe_phases",
    "digest_of",
    "is_phased",
    "score",
]
