import math

import numpy as np
import pytest

from jaxtrain.models.positions import sinusoids


@pytest.mark.parametrize("width", [6, 7])
def test_it_is_the_formula(width):
    waves = np.asarray(sinusoids(50, width))
    assert waves.shape == (50, width)
    for position in (0, 1, 49):
        for place in range(width):
            angle = position / 10_000 ** (place // 2 * 2 / width)
            wave = math.cos(angle) if place % 2 else math.sin(angle)
            assert waves[position, place] == pytest.approx(wave, abs=1e-6)
