import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.phases import Ledger, PhasedConfig
from jaxtrain.phases.layout import Layout, directory_for
from tests.phases.small import SMALL


def test_each_thing_has_a_place_of_its_own(tmp_path):
    layout = Layout(PhasedConfig.of({**SMALL, "joint": True}), tmp_path)
    places = [
        *(layout.run(name) for name in ("base", "one", "two", "joint")),
        *(layout.scores(n, merged=merged) for n in (0, 1) for merged in (False, True)),
        layout.scores("joint"),
        *(layout.written, layout.ledger_file, layout.report, layout.picture),
    ]
    assert [path.relative_to(tmp_path).as_posix() for path in places] == [
        "base",
        "phases/1-one",
        "phases/2-two",
        "joint",
        "scores/0.npz",
        "scores/0-merged.npz",
        "scores/1.npz",
        "scores/1-merged.npz",
        "scores/joint.npz",
        "config.yaml",
        "ledger.json",
        "retention.json",
        "retention.png",
    ]
    assert layout.ledger() == Ledger()


def test_a_phase_begins_with_what_comes_before_it(trained, tmp_path):
    layout = trained[0].layout
    for number, before in ((1, "base"), (2, "one")):
        path, digest = layout.start(number)
        assert path.startswith(str(layout.run(before) / "checkpoints"))
        assert len(digest) == 64
    config = PhasedConfig.of({key: value for key, value in SMALL.items() if key != "base"})
    assert Layout(config, tmp_path).start(1) is None
    with pytest.raises(ConfigError):
        Layout(config, tmp_path).start(2)


def test_the_config_of_a_run_has_its_directory_and_what_it_begins_with(trained):
    layout = trained[0].layout
    base, two = (layout.config_of(name) for name in ("base", "two"))
    assert (base.workdir, base.start) == (str(layout.run("base")), None)
    assert (two.workdir, two.start.path) == (str(layout.run("two")), layout.start(2)[0])
    joint = Layout(PhasedConfig.of({**SMALL, "joint": True}), layout.directory).config_of("joint")
    assert (joint.workdir, joint.start) == (
        str(layout.directory / "joint"),
        layout.config_of("one").start,
    )


def test_by_default_it_is_named_after_the_phases_and_not_after_what_is_beside_them():
    named = directory_for(PhasedConfig.of(SMALL))
    assert named.parent.as_posix() == "runs/two"
    assert directory_for(PhasedConfig.of({**SMALL, "joint": True})) == named
    for other in (["phases.one.lora.rank=3"], ["retention.untrained.more.split_seed=5"]):
        assert directory_for(PhasedConfig.of(SMALL, other)) != named
