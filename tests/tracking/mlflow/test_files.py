"""Which files are sent. Through a server: tests/tracking/mlflow/test_sending.py."""

from __future__ import annotations

import numpy as np

from jaxtrain import tracking
from jaxtrain.tracking import Artifact
from jaxtrain.tracking.mlflow.files import files_of, is_fixed, signature


def test_neither_checkpoints_nor_rows_nor_links(tmp_path):
    with tracking.run("digits", "files", root=tmp_path) as run:
        run.log({"loss": 1.0})
        run.log_image("grid/a", np.zeros([2, 2]), 3)
        (tmp_path / "w").write_text("w")
        run.log_artifact(Artifact("model", "model").add_file(tmp_path / "w", "deep/w"))
        for name in ("config.yaml", "metrics.json", "learning_curves.png", "system.jsonl", "x.txt"):
            (run.directory / name).write_text("{}")
        (run.directory / "link.png").symlink_to(tmp_path / "w")
        (run.directory / "checkpoints").mkdir()
        (run.directory / "checkpoints" / "a.png").write_text("")
        medium, version = run.record.media[0]["file"], run.record.artifacts[0].version
        always = ["config.yaml", "metadata.json", "metrics.json", "learning_curves.png"]
        own = [medium, f"artifacts/model/{version}/deep/w"]
        assert files_of(run.record) == [*always, *own]
    growing = ["media.jsonl", "artifacts/index.jsonl", "system.jsonl"]
    assert files_of(run.record) == [*always, *growing, *own]
    assert [is_fixed(name) for name in files_of(run.record)] == [False] * 7 + [True] * 2


def test_another_file_has_another_signature(tmp_path):
    file = tmp_path / "a"
    file.write_text("a")
    first = signature(file)
    assert signature(file) == first
    file.write_text("bb")
    assert signature(file) != first
