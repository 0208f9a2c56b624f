import dataclasses

import numpy as np
import pytest

from jaxtrain.data import SOURCES, Dataset, Splits, digits
from jaxtrain.phases import PhasedConfig, check_suites
from tests.phases.test_phased_config import changed


@pytest.fixture
def sources(monkeypatch):
    """Suites that no model of the digits can be asked."""
    monkeypatch.setattr(SOURCES, "_factories", dict(SOURCES._factories))

    def of(test):
        def source(validation_fraction: float, seed: int) -> Splits:
            return dataclasses.replace(digits(validation_fraction, seed), test=test)

        return source

    inputs = np.zeros((4, 64), np.float32)
    few = Dataset(inputs, np.array([0, 1, 2, 0], np.int32), num_outputs=3)
    prices = Dataset(inputs, np.arange(4, dtype=np.float32), task="regression")
    labels = np.arange(10, dtype=np.int32)
    broken = Dataset(np.full((10, 64), np.nan, np.float32), labels, num_outputs=10)
    narrow = Dataset(np.zeros((10, 32), np.float32), labels, num_outputs=10)
    each = {"few": few, "prices": prices, "broken": broken, "narrow": narrow}
    for name, test in each.items():
        SOURCES.register(f"tests_{name}")(of(test))


def findings(**untrained):
    phased = PhasedConfig.of(changed(retention={"untrained": untrained}))
    return {(name, one.name): one for name, one in check_suites(phased)}


def test_suites_that_can_be_asked_are_ok_and_none_need_be_there():
    found = findings(more={"name": "digits", "split_seed": 4})
    assert all(one.ok for one in found.values())
    assert ("more", "test shapes") in found
    assert ("more", "fits the model") in found
    assert findings() == {}


@pytest.mark.usefixtures("sources")
def test_what_is_wrong_with_a_suite_is_told_by_its_name():
    found = findings(
        more={"name": "digits"},
        narrow={"name": "tests_narrow"},
        few={"name": "tests_few"},
        prices={"name": "tests_prices"},
        broken={"name": "tests_broken"},
    )
    wrong = {key: one.detail for key, one in found.items() if not one.ok}
    assert not [key for key in wrong if key[0] == "more"]
    assert "expected that of the first run, a classification with 10" in wrong["few", "test kind"]
    assert "a right and a wrong" in wrong["prices", "test kind"]
    assert ("broken", "test finite inputs") in wrong
    assert ("narrow", "fits the model") in wrong
