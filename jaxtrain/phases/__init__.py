"""Progressive training: phase after phase, with a ledger and a report of what was forgotten.

progressive = Progressive(PhasedConfig.of("configs/korean_medical.py"))
progressive.train().print()
"""

from jaxtrain.phases.joint import JOINT
from jaxtrain.phases.joint_run import joint_config
from jaxtrain.phases.ledger import Entry, Ledger, digest_of
from jaxtrain.phases.phase import Phase
from jaxtrain.phases.phased_config import PhasedConfig, is_phased
from jaxtrain.phases.planning import describe_phases
from jaxtrain.phases.progressive import Progressive
from jaxtrain.phases.scoring import baseline, score
from jaxtrain.phases.suites import check_suites

__all__ = [
    "JOINT",
    "Entry",
    "Ledger",
    "Phase",
    "PhasedConfig",
    "Progressive",
    "baseline",
    "check_suites",
    "describe_phases",
    "digest_of",
    "is_phased",
    "joint_config",
    "score",
]
