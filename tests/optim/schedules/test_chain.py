import json
import re

import pytest

from jaxtrain.config import dump, to_dict
from jaxtrain.errors import ConfigError, OptionsError
from jaxtrain.optim import chain
from jaxtrain.run import make_config
from jaxtrain.run.deciding import differing
from tests.optim.parity import assert_their_rates, plans, rates

UP = {"name": "linear", "steps": 4, "start_scale": 0.5, "final_scale": 1.0}


@plans("chain")
def test_it_is_pytorchs(plan):
    assert_their_rates(plan)


def test_lengths_are_in_steps_epochs_or_a_fraction_and_the_rest_is_the_lasts():
    parts = (
        UP,
        {"name": "constant", "epochs": 1},
        {"name": "constant", "fraction": 0.1, "scale": 0.2},
    )
    found = rates(chain(1.0, 40, 8, parts=(*parts, {"name": "polynomial", "scale": 0.1})), 40)
    assert found[:5] == pytest.approx([0.5, 0.625, 0.75, 0.875, 1.0])
    assert found[5:12] == pytest.approx([1.0] * 7)
    assert found[12:16] == pytest.approx([0.2] * 4)
    assert found[16:] == pytest.approx([0.1 * (24 - n) / 24 for n in range(24)])


def test_a_config_has_it_and_comes_back(tmp_path):
    config = make_config({"schedule": {"name": "chain", "parts": [UP, {"name": "cosine"}]}})
    assert config.schedule.parts == (UP, {"name": "cosine"})
    dump(config, tmp_path / "config.yaml")
    assert make_config(tmp_path / "config.yaml") == config
    before = json.loads(json.dumps(to_dict(config)))
    assert differing(before, config) == []
    turned = {"name": "chain", "parts": [{"name": "cosine", "steps": 9}, UP]}
    ((key, _, now),) = differing(before, make_config({"schedule": turned}))
    assert (key, now) == ("schedule.parts", ({"name": "cosine", "steps": 9}, UP))


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"steps": 0}, "schedule.parts.0.steps: expected greater than or equal to 1, found 0"),
        ({"final_scale": 2.0}, "schedule.parts.0.final_scale: expected less than or equal to 1"),
        ({"final_scal": 0.5}, "schedule.parts.0.final_scal: unknown key; did you mean 'final_scal"),
        ({"warmup_steps": 5}, "schedule.parts.0.warmup_steps: unknown key"),
        ({"epochs": 1.0}, "schedule.parts.0: expected one length, .* found steps and epochs"),
        ({"steps": None}, "schedule.parts.0: expected one length, .* found none"),
        ({"name": "linnear"}, "schedule.parts.0.name: unknown schedule 'linnear'; did you mean"),
        ({"name": "chain"}, "schedule.parts.0: expected a schedule that is no chain itself"),
        ({"name": None}, "schedule.parts.0: expected a section with the name of a schedule"),
        ({"name": "exponential"}, "schedule.parts.0.factor: missing"),
    ],
)
def test_what_is_wrong_is_told_by_its_dotted_key_and_line(part, expected, tmp_path):
    parts = [{**UP, **part}, {"name": "cosine"}]
    with pytest.raises(OptionsError, match=expected.removeprefix("schedule.")):
        chain(1.0, 100, 10, parts=tuple(parts))
    file = tmp_path / "run.yaml"
    file.write_text(f"schedule:\n  name: chain\n  parts: {parts}\n".replace("None", "null"))
    with pytest.raises(ConfigError, match=f"{re.escape(str(file))}:3: {expected}"):
        make_config(file)


@pytest.mark.parametrize("parts", [[UP], "cosine", []])
def test_parts_are_a_list_of_two_at_least(parts):
    with pytest.raises(ConfigError, match=r"schedule.parts: expected a list"):
        make_config({"schedule": {"name": "chain", "parts": parts}})


def test_what_does_not_fit_the_run_is_told_by_its_dotted_key():
    late = {"name": "multi_step", "milestones": (3, 2), "steps": 5}
    with pytest.raises(ConfigError, match=r"^schedule.parts.1.milestones: expected numbers that"):
        chain(1.0, 100, 10, parts=(UP, late))
    with pytest.raises(
        ConfigError, match=r"^schedule.parts.1: ends after 5 steps, and there are 4"
    ):
        chain(1.0, 4, 10, parts=(UP, {"name": "cosine"}))
    with pytest.raises(
        ConfigError, match=r"^schedule.parts.1: ends after 9 steps, and there are 6"
    ):
        chain(1.0, 6, 10, parts=(UP, {"name": "cosine", "steps": 5}))
    with pytest.raises(ConfigError, match=r"^schedule.parts.0.epochs: counts epochs"):
        chain(1.0, 6, parts=({"name": "constant", "epochs": 1.0}, UP))
