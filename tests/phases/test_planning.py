"""`describe_phases` is tested with the phases themselves, in test_progressive.py."""

import pytest

from jaxtrain.phases import PhasedConfig, Progressive, describe_phases
from tests.phases.test_progressive import SMALL


@pytest.mark.parametrize(
    ("protect", "says"),
    [
        ({"orthogonal": 0.1}, "orthogonal to earlier adapters"),
        ({"previous_kl": 0.1}, "near to what the base says"),
        ({"project": 0.5}, "away from the base's first singular directions"),
    ],
)
def test_protections_are_told(tmp_path, protect, says):
    phases = {"one": {"lora": {"rank": 2, "protect": protect}}}
    phased = PhasedConfig.of({**SMALL, "phases": phases})
    assert f"protects   {says}" in describe_phases(Progressive(phased, tmp_path / "run"))
