import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.phases import Ledger, PhasedConfig
from jaxtrain.phases.layout import Layout
from tests.phases.small import SMALL


def test_each_thing_has_a_place_of_its_own(tmp_path):
    layout = Layout(PhasedConfig.of(SMALL), tmp_path)
    places = [
        *(layout.run(name) for name in ("base", "one", "two")),
        *(layout.scores(n, merged=merged) for n in (0, 1) for merged in (False, True)),
        *(layout.written, layout.ledger_file, layout.report, layout.picture),
    ]
    assert [path.relative_to(tmp_path).as_posix() for path in places] == [
        "base",
        "phases/1-one",
        "phases/2-two",
        "scores/0.npz",
        "scores/0-merged.npz",
        "scores/1.npz",
        "scores/1-merged.npz",
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
