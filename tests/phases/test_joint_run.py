"""How long the joint training takes."""

from jaxtrain.phases import PhasedConfig, joint_config
from jaxtrain.run import RunData
from tests.phases.test_phased_config import TREE, changed


def test_it_takes_as_long_as_its_section_says():
    phased = PhasedConfig.of(TREE, ["joint.lora.rank=9", "joint.train.epochs=5"])
    config = joint_config(phased, workdir="w", start=("p", "a" * 64))
    assert (config.lora.rank, config.train.epochs) == (9, 5)
    assert (config.workdir, config.start.path) == ("w", "p")


def test_it_takes_about_as_many_steps_as_all_phases_together():
    tree = changed(joint=True, train={"epochs": 10})
    tree["phases"]["one"]["train"] = {"epochs": 4}
    phased = PhasedConfig.of(tree)
    # 1,293 rows each, and a quarter of the second phase's are replayed: 21 and 27 batches of 64.
    assert RunData.of(phased.config_of("joint")).loader.steps_per_epoch == 41
    assert joint_config(phased).train.epochs == round((4 * 21 + 10 * 27) / 41)
    # One batch each, and two of both: 2 + 3 epochs make two and a half; rather more than less.
    half = changed(joint=True, data={"name": "digits", "batch_size": 1293})
    half["phases"]["one"]["train"] = {"epochs": 2}
    half["phases"]["two"] |= {"train": {"epochs": 3}, "replay": None}
    assert joint_config(PhasedConfig.of(half)).train.epochs == 3
    short = changed(joint=True, train={"epochs": 1})
    short["phases"]["two"]["data"] = {"batch_size": 2000}
    short["phases"]["one"]["data"] = {"batch_size": 2000}
    assert joint_config(PhasedConfig.of(short)).train.epochs == 1
