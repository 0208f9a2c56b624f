"""`launch`: what its words have to be, and what becomes of those behind `--`."""

from __future__ import annotations

import pytest

from jaxtrain.cli.launching import Launched
from jaxtrain.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--processes", "2"], "expected the words of the command behind `--`"),
        (["--processes", "2", "--config.seed=1", "--", "a.py"], "behind `--`"),
        (["--processes", "0", "--", "a.py"], "--processes: expected 1 or more, found 0"),
        (["--processes", "2", "--devices-each", "0", "--", "a.py"], "--devices-each: expected 1"),
        (["--processes", "2", "--at-least", "3", "--", "a.py"], "--at-least 3: there are 2"),
        (["--", "a.py"], "--processes"),
    ],
)
def test_words_that_mean_nothing_are_told(call, words, said):
    with pytest.raises(ConfigError, match=said):
        call("launch", *words)


def test_the_words_behind_the_dashes_are_handed_on_as_they_are(call, monkeypatch):
    seen = {}

    def run(self):
        seen.update(vars(self))
        return 7

    monkeypatch.setattr(Launched, "run", run)
    rest = ["train", "--config", "a.py", "--config.seed=3", "--", "-x"]
    assert call("launch", "--processes", "2", "--restarts", "1", "--", *rest) == 7
    assert list(seen["words"]) == ["-m", "jaxtrain.main", *rest]
    assert (seen["processes"], seen["restarts"], seen["at_least"]) == (2, 1, None)
