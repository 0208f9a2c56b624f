"""Many runs as one program: searched, trained together, ranked.

sweep = Sweep(load("configs/digits.py"), SweepConfig.of("sweep.yaml"))
rows = sweep.run()
"""

from jaxtrain.sweeps.config import SweepConfig
from jaxtrain.sweeps.exporting import export_member
from jaxtrain.sweeps.groups import Group, split
from jaxtrain.sweeps.member import Member, member_eval_step, member_step
from jaxtrain.sweeps.planning import describe_sweep
from jaxtrain.sweeps.sweep import Sweep

__all__ = [
    "Group",
    "Member",
    "Sweep",
    "SweepConfig",
    "describe_sweep",
    "export_member",
    "member_eval_step",
    "member_step",
    "split",
]
