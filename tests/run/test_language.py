"""From a text to a run: the decoder learns, goes on, is judged, and knows its characters."""

from __future__ import annotations

import json
import math

import pytest

from jaxtrain.main import main
from jaxtrain.models.decoder import block
from jaxtrain.run import RunData, Trained, make_config

TEXT = "".join(
    f"{number} bottles of beer on the wall, {number} bottles of beer.\n" for number in range(200)
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("language")
    (place / "text.txt").write_text(TEXT)
    config = {
        "data": {"name": "text", "root": str(place), "path": "text.txt", "tokenizer": "characters"},
        "model": {"name": "decoder", "width": 32, "layers": 2, "heads": 2, "tied": True},
        "loss": {"name": "next_token"},
        "optimizer": {"learning_rate": 0.01},
        "train": {"epochs": 3},
        "hooks": {"progress": None, "console": None},
    }
    config["data"] |= {"length": 32, "batch_size": 16}
    (place / "lm.json").write_text(json.dumps(config))
    return place


@pytest.fixture(scope="module")
def kernels():
    """The names of the attention kernels that were traced for the run."""
    return set()


@pytest.fixture(scope="module")
def finished(place, kernels):
    attention = block.attention

    def spy(*args, implementation, **options):
        kernels.add(implementation)
        return attention(*args, implementation=implementation, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block, "attention", spy)
        assert main([str(place / "lm.json"), "--workdir", str(place / "run")]) == 0
    return place / "run"


def test_the_kernel_that_ran_stands_in_the_metadata(finished, kernels):
    facts = json.loads((finished / "metadata.json").read_text())["model_facts"]
    name, _, why = facts["attention"].partition(" ")
    assert kernels == {name} == {"tiled"}
    assert why.startswith("(no scores [32, 32] are kept")
    assert facts["remat"].startswith("none (")


def test_it_learns_and_says_how_well(finished):
    figures = json.loads((finished / "metrics.json").read_text())
    assert figures["test_loss"] < 1.0  # of ln(29) = 3.4 nats a character at the beginning
    assert figures["test_perplexity"] == pytest.approx(math.exp(figures["test_loss"]), rel=1e-4)
    assert figures["test_token_accuracy"] > 0.7


def test_what_is_judged_later_is_read_with_the_characters_of_the_run(finished, place):
    before = json.loads((finished / "metrics.json").read_text())["test_loss"]
    trained = Trained.load(finished)
    sets, differs = trained.sets()
    assert differs == []
    assert trained.evaluate(sets["test"])["loss"] == pytest.approx(before, rel=1e-6)


def test_rows_are_read_by_workers_by_config(place):
    made = {
        words: RunData.of(make_config(place / "lm.json", words)).loader
        for words in ((), ("data.stream=true",), ("data.stream=true", "data.workers=1"))
    }
    first = {words: next(iter(loader.epoch(0))) for words, loader in made.items()}
    plain = first.pop(())
    for batch in first.values():
        for name, array in plain.items():
            assert (batch[name] == array).all(), name
