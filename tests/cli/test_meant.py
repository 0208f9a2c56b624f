"""Options that nobody knows."""

from __future__ import annotations

import pytest

from jaxtrain.cli.meant import options_meant

OPTIONS = ["-h", "--help", "--config", "--seed", "--device", "--workdir", "--plugin"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        # A key by its name, however it is written.
        ("--learning_rate=1", "--config.optimizer.learning_rate=VALUE"),
        ("--batch-size", "--config.data.batch_size=VALUE"),
        ("-epochs", "--config.train.epochs=VALUE"),
        ("--project=x", "--config.project=VALUE"),
        # As other programs call it.
        ("--lr", "--config.optimizer.learning_rate=VALUE"),
        ("--model", "--config.model.name=VALUE"),
        ("--output-dir", "--workdir=VALUE"),
        # An option of a component.
        ("--hidden", "--config.model.hidden=VALUE"),
        ("--label_smoothing", "--config.loss.label_smoothing=VALUE"),
        (
            "--patience",
            "--config.hooks.early_stopping.patience=VALUE"
            " or --config.hooks.reduce_on_plateau.patience=VALUE",
        ),
        ("--top_k", "--config.metrics.accuracy.top_k=VALUE"),
        # With its section.
        ("--train.epochs=3", "--config.train.epochs=VALUE"),
        ("--hooks.jsonl.every", "--config.hooks.jsonl.every=VALUE"),
        # Mistyped.
        ("--hiden", "--config.model.hidden=VALUE"),
        ("--batchsize", "--config.data.batch_size=VALUE"),
        ("--train.epoch", "--config.train.epochs=VALUE"),
        ("--confg", "--config"),
        ("--plugins", "--plugin"),
        ("--sede", "--seed"),
        # Several.
        (
            "--monitor",
            "--config.checkpoint.monitor=VALUE or --config.hooks.early_stopping.monitor=VALUE"
            " or --config.hooks.reduce_on_plateau.monitor=VALUE",
        ),
    ],
)
def test_what_was_meant(word, meant):
    assert options_meant(word, OPTIONS) == f"; did you mean {meant}?"


def test_of_many_a_few_are_named():
    assert options_meant("--name", OPTIONS).count(" or ") == 2


def test_where_nothing_is_near_the_options_are_listed():
    assert options_meant("--zebra", OPTIONS) == (
        " (options: --help, --config, --seed, --device, --workdir, --plugin, "
        "--config.SECTION.KEY=VALUE)"
    )


def test_a_command_without_a_config_knows_no_keys():
    assert options_meant("--epochs", ["--help"]) == " (options: --help)"
