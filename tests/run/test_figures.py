"""The metrics that a config names, through a whole run."""

import json

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as by_sklearn

from jaxtrain.data import Dataset, TargetScale
from jaxtrain.errors import ConfigError
from jaxtrain.metrics import METRICS, ExactRocAuc, FBeta, HostRescaled, Loss, RocAuc
from jaxtrain.run import RunData, Task, Trained, make_config
from tests import small_run

METRICS_OF = {
    "loss": {},
    "f1": {"average": "macro"},
    "auc": {"name": "roc_auc"},
    "exact_auc": {"name": "roc_auc", "exact": True},
    "map": {"name": "average_precision", "exact": True},
    "confusion_matrix": {},
}


def metrics_of(section):
    return make_config({"data": {"name": "digits"}, "metrics": section})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    where = tmp_path_factory.mktemp("figures")
    config = where / "config.json"
    checkpoint = {"monitor": "val/exact_auc"}
    small_run.write_config(config, checkpoint=checkpoint)
    text = json.loads(config.read_text())
    config.write_text(json.dumps({**text, "metrics": METRICS_OF}))
    task = small_run.task_of(config)
    return task, small_run.train(task, where / "run"), config, where


def test_each_is_what_its_options_say(run):
    task, experiment, _, _ = run
    assert task.metrics() == {
        "loss": Loss(),
        "f1": FBeta(num_classes=10, average="macro"),
        "auc": RocAuc(num_classes=10),
        "exact_auc": ExactRocAuc(num_classes=10),
        "map": METRICS["average_precision"](10, exact=True),
        "confusion_matrix": METRICS["confusion_matrix"](10),
    }
    assert task.metrics()["map"] is not task.metrics()["map"]  # each engine has its own
    assert list(task.train_metrics()) == ["loss", "f1", "auc", "confusion_matrix"]
    assert "train/exact_auc" not in experiment.trainer.metric_names
    assert "host metric" not in " ".join(h.name for h in experiment.trainer.plan.observed())


def test_they_are_those_of_scikit_learn(run):
    _, experiment, _, _ = run
    trained = Trained.load(experiment.directory.path)
    rows = trained.sets()[0]["test"]
    logits = trained._outputs(rows.inputs).astype(np.float64)
    said, labels = logits.argmax(axis=1), rows.labels
    p = softmax(logits, axis=1)
    report = json.loads((experiment.directory / "metrics.json").read_text())
    assert report["monitor"] == "val/exact_auc"
    for figures in (trained.evaluate(rows), {k[5:]: v for k, v in report.items() if "test_" in k}):
        auc = by_sklearn.roc_auc_score(labels, p, multi_class="ovr")
        assert figures["exact_auc"] == pytest.approx(auc, rel=1e-6)
        assert figures["auc"] == pytest.approx(auc, abs=2e-3)
        precision = by_sklearn.average_precision_score(labels, p)
        assert figures["map"] == pytest.approx(precision, rel=1e-5)
        f1 = by_sklearn.f1_score(labels, said, average="macro", labels=range(10), zero_division=0)
        assert figures["f1"] == pytest.approx(f1, rel=1e-6)
        matrix = by_sklearn.confusion_matrix(labels, said)
        np.testing.assert_array_equal(figures["confusion_matrix"], matrix)


def test_a_run_that_was_left_within_an_epoch_comes_to_the_same(run):
    task, whole, config, where = run
    small_run.train(task, where / "left", stop_at=5)
    code, said = small_run.resume(config, where / "left")
    assert code == 0, said
    assert "confusion" not in said.rpartition("\ntest:")[2]  # a matrix fills no line
    a, b = (
        json.loads((root / "metrics.json").read_text())
        for root in (whole.directory.path, where / "left")
    )
    for report in (a, b):
        del report["training_time_seconds"]
    assert a == b
    assert a["best_val_exact_auc"] == max(row["val/exact_auc"] for row in whole.history.epochs)
    name = "metrics.jsonl"
    assert (where / "left" / name).read_text() == (whole.directory / name).read_text()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"f1": {}}, r"'binary' is of two classes, found 10; choose 'macro'"),
        ({"f1": {"average": "samples"}}, r"metrics\.f1\.average"),
        ({"fbeta": {"average": "macro"}}, r"metrics\.fbeta\.beta"),
        ({"recall": {"average": "macro", "zero_division": 2}}, r"metrics\.recall\.zero_division"),
        ({"roc_auc": {"bins": 1}}, r"metrics\.roc_auc\.bins"),
        ({"roc_auc": {"exact": True, "bins": 9}}, "bins: an exact metric has none"),
        ({"auc": {"name": "roc_auc", "multilabel": True}}, r"metrics\.auc does not fit"),
        ({"auc": {"name": "roc_auc", "exact": True, "multilabel": True}}, r"metrics\.auc does not"),
        ({"auc": {"name": "roc_auc", "exact": True, "outputs": "x"}}, r"metrics\.auc does not fit"),
    ],
)
def test_what_does_not_fit_is_found_before_anything_is_computed(section, message):
    with pytest.raises(ConfigError, match=message):
        Task.of(RunData.of(metrics_of(section)))


def test_options_as_a_file_or_a_command_has_them():
    for text in ("0", "0.0", "nan", "1"):
        section = f"metrics={{f1: {{average: macro, zero_division: {text}}}}}"
        config = make_config({"data": {"name": "digits"}}, [section])
        metric = Task.of(RunData.of(config)).metrics()["f1"]
        assert str(metric.zero_division) == text.removesuffix(".0")


def test_a_metric_of_the_class_form_reads_the_unit_of_the_data(monkeypatch, source, made):
    monkeypatch.setattr(METRICS, "_factories", dict(METRICS._factories))

    @METRICS.register("tests_largest")
    class Largest:
        def __init__(self):
            self.reset()

        def reset(self):
            self.seen = []

        def update(self, output):
            self.seen.append(float(np.max(output["labels"])))

        def compute(self):
            return max(self.seen)

    inputs = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    numbers = Dataset(inputs, inputs[:, 0].copy(), name="numbers", task="regression")
    scale = TargetScale((100.0,), (10.0,))
    source(lambda: made(train=numbers, validation=None, test=numbers, target_scale=scale))
    config = {
        "data": {"name": "tests_source"},
        "loss": {"name": "mean_squared_error"},
        "metrics": {"largest": {"name": "tests_largest"}},
    }
    task = Task.of(RunData.of(make_config(config)))
    metric = task.metrics()["largest"]
    assert isinstance(metric, HostRescaled)
    assert task.train_metrics() == {}
    metric.update({"outputs": inputs[:, 0], "labels": inputs[:, 0]})
    assert metric.compute() == pytest.approx(100 + 10 * inputs[:, 0].max(), rel=1e-6)
