"""`checkpoints`."""

from __future__ import annotations

import pytest

from jaxtrain.errors import ConfigError


def test_a_run_directory_is_wanted(call, tmp_path):
    with pytest.raises(ConfigError, match=r"found no config\.yaml in it"):
        call("checkpoints", str(tmp_path))
    with pytest.raises(ConfigError, match="takes no --config"):
        call("checkpoints", str(tmp_path), "--config.seed=1")
