"""Tests of jaxtrain.report.page.about."""

import pytest

from jaxtrain.report.page.about import (
    add_artifacts,
    add_config,
    add_environment,
    add_metrics,
    badge,
    heading,
)
from jaxtrain.report.page.content import Content
from tests.report.page.small import HOSTILE, SUMMARY, epochs, logged, written


def added(add, record):
    content = Content("a")
    add(content, record)
    return content.sections[0].html if content.sections else None


def test_the_heading(tmp_path):
    record = written(tmp_path / "run", rows=epochs(), summary=SUMMARY, tags=["trial", HOSTILE])
    told = heading(record)
    assert "<h1>run</h1>" in told
    assert '<p class="project">digits</p>' in told
    assert "2026-11-29 20:43 UTC" in told
    assert "<li>trial</li>" in told
    assert HOSTILE not in told
    for label, value in [
        ("best val/loss", "0.25<small>epoch 3</small>"),
        ("test loss", "0.3769<small></small>"),
        ("test accuracy", "97.78 %<small></small>"),
        ("parameters", "26,122<small></small>"),
        ("steps", "40<small>4 epochs</small>"),
        ("time", "1 h 7 min<small></small>"),
    ]:
        assert f"<dt>{label}</dt><dd>{value}</dd>" in told


def test_a_run_without_a_report_shows_what_it_logged_last(tmp_path):
    told = heading(written(tmp_path / "run", rows=epochs()[:1], config={}))
    assert "<dt>last loss</dt><dd>1<small>step 5</small></dd>" in told
    bare = heading(written(tmp_path / "bare", config={}))
    assert "tiles" not in bare
    assert "tags" not in bare


@pytest.mark.parametrize(
    ("status", "kind"),
    [("completed", "completed"), ("failed: ValueError: <x>", "failed"), ("odd", "unknown")],
)
def test_the_badge(status, kind):
    told = badge(status)
    assert f'class="badge {kind}"' in told
    assert "<x>" not in told


def test_metrics_by_set(tmp_path):
    told = added(add_metrics, written(tmp_path, rows=epochs(), summary=SUMMARY))
    cells = '<th scope="row">loss</th>' + "".join(
        f'<td class="number">{value}</td>' for value in ("0.25", "0.5", "0.25", "0.3769")
    )
    assert cells in told
    assert told.count('<th scope="row">accuracy</th>') == 1
    rest = told.split("<details>")[1]
    assert "2 series besides" in rest  # the loss of single steps, and the rate
    assert "val/loss" not in rest


def test_metrics_of_a_script(tmp_path):
    rows = [{"event": "log", "iteration": 0, "step": at, "reward": v} for at, v in
            ((1, 2.0), (2, None), (3, -1.0))]  # fmt: skip
    told = added(add_metrics, written(tmp_path / "a", rows=rows))
    cells = "".join(f'<td class="number">{v}</td>' for v in ("-1", "-1", "2", "step 3"))
    assert f'<th scope="row">reward</th>{cells}' in told
    assert "details" not in told
    assert added(add_metrics, written(tmp_path / "b")) is None


def test_what_is_no_default_is_marked(tmp_path):
    other = ["optimizer.learning_rate", "model"]
    told = added(add_config, written(tmp_path / "a", changed=other))
    changed, whole = told.split("<details>")
    for key in ("optimizer.learning_rate", "model.hidden"):
        assert f'<th scope="row">{key}</th>' in changed
        assert f'<th scope="row">{key} <span class="mark"' in whole
    assert "optimizer.name" not in changed
    assert '<th scope="row">optimizer.name</th>' in whole
    assert '<td class="value">[128, 128]</td>' in whole
    unknown = added(add_config, written(tmp_path / "b"))
    assert "mark" not in unknown
    assert "not at its default" not in unknown
    assert added(add_config, written(tmp_path / "c", config={})) is None


def test_a_key_that_only_begins_alike_is_not_marked(tmp_path):
    config = {"model": 1, "models": 2}
    told = added(add_config, written(tmp_path, config=config, changed=["model"]))
    assert '<th scope="row">models</th>' in told.split("<details>")[1]


def test_the_environment(tmp_path):
    record = written(
        tmp_path, command=["main.py", "a b", HOSTILE], host="here", git_revision=None,
        environment={"jax": "0.10", "xla_flags": ""}, data={"train": "rows=3"},
    )  # fmt: skip
    told = added(add_environment, record)
    assert "main.py &#x27;a b&#x27;" in told
    assert "<img" not in told
    for key, value in (("host", "here"), ("jax", "0.10"), ("data.train", "rows=3")):
        assert f'<th scope="row">{key}</th><td class="value">{value}</td>' in told
    assert "git_revision" not in told
    assert "xla_flags" not in told
    assert "optimizer" not in told
    assert str(tmp_path) in told


def test_artifacts(tmp_path):
    record = logged(tmp_path, steps=[1])
    told = added(add_artifacts, record)
    assert '<th scope="row">classifier</th><td>model</td><td>best, latest</td>' in told
    assert "1 file, 7 B" in told
    assert HOSTILE not in told
    (record.artifacts[0].path / "w.bin").unlink()
    assert "1 file, 0 B; 1 missing" in added(add_artifacts, record)
    assert added(add_artifacts, written(tmp_path / "none")) is None


def test_a_config_of_one_key_is_open(tmp_path):
    assert "<details open>" in added(add_config, written(tmp_path / "a", config={"lr": 1}))
    many = {f"k{n}": n for n in range(30)}
    assert "<details>" in added(add_config, written(tmp_path / "b", config=many))
