import pytest

from jaxtrain.phases import PhasedConfig, Progressive
from tests.phases.small import SMALL


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Phases that are over, and what their report says; whoever goes on with them takes a copy."""
    progressive = Progressive(PhasedConfig.of(SMALL), tmp_path_factory.mktemp("trained") / "run")
    return progressive, progressive.train()
