"""Many runs as one program: searched, trained together, ranked.

sweep = Sweep(load("configs/digits.py"), SweepConfig.of("sweep.yaml"))
rows = sweep.run()
"""

from jaxtrain.sweeps.config import SweepConfig
from jaxtrain.sweeps.groups import Group, split
from jaxtrain.sweeps.member import Member, member_eval_step, member_step
from jaxtrain.sweeps.sweep import Sweep

__all__ = ["Group", "Member", "Sweep", "SweepConfig", "member_eval_step", "member_step", "split"]
