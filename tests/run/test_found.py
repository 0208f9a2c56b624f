"""What a path that somebody typed means."""

from __future__ import annotations

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.run.found import find_checkpoint, survey


def test_a_run_directory_or_a_checkpoint_is_wanted(tmp_path):
    with pytest.raises(ConfigError, match="found nothing there"):
        find_checkpoint(tmp_path / "gone")
    with pytest.raises(ConfigError, match="found neither"):
        find_checkpoint(tmp_path)
    with pytest.raises(ConfigError, match=r"found no config\.yaml in it"):
        survey(tmp_path)
