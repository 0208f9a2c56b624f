"""`sweep`, as it is typed."""

from __future__ import annotations

import json

import pytest

from jaxtrain.errors import ConfigError
from tests.sweeps.small import CONFIG, WORDS

SAID = {
    "members": 3,
    "space": {"optimizer.learning_rate": {"log_uniform": [1e-3, 1e-1]}, "seed": [0, 1]},
}


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "sweep.json"
    path.write_text(json.dumps(SAID))
    given = [f"--config.{word}" for word in WORDS]
    return ["--config", str(CONFIG), "--sweep", str(path), *given, "--config.train.epochs=2"]


def test_a_sweep_its_directory_and_a_member(call, words, tmp_path, capsys):
    workdir = tmp_path / "s"
    assert call("sweep", *words, "--workdir", str(workdir), "--plan") == 0
    assert "3 members, 3 at once: 1 program" in capsys.readouterr().out
    assert not workdir.exists()
    assert call("sweep", *words, "--workdir", str(workdir), "--top", "2") == 0
    said = capsys.readouterr().out
    assert "3 members: 3 finished" in said
    assert "learning_rate" in said
    assert len([line for line in said.splitlines() if line.endswith("finished")]) == 3
    before = (workdir / "sweep.jsonl").read_bytes()
    assert call("sweep", str(workdir)) == 0
    assert (workdir / "sweep.jsonl").read_bytes() == before
    capsys.readouterr()
    assert call("sweep", str(workdir), "--export", "1") == 0
    assert (workdir / "members" / "1" / "metrics.json").is_file()
    assert (
        call("train", "--config", str(workdir / "best.yaml"), "--workdir", str(tmp_path / "b")) == 0
    )


def test_words_that_do_not_go_together(call, words, tmp_path):
    with pytest.raises(ConfigError, match="what is to be searched is missing; --sweep"):
        call("sweep", "--config", str(CONFIG))
    with pytest.raises(ConfigError, match="says itself what it searches"):
        call("sweep", str(tmp_path), *words)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigError, match="expected a sweep's directory"):
        call("sweep", str(empty))
