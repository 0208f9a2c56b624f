"""`check`."""

from __future__ import annotations

from jaxtrain.run import RunData


def test_the_data_are_read_once(call, digits, capsys, monkeypatch):
    calls, of = [], RunData.of.__func__
    monkeypatch.setattr(
        RunData, "of", classmethod(lambda cls, config: calls.append(1) or of(cls, config))
    )
    words = ["--config.model.dropout=0", "--config.train.accumulate=2"]
    assert call("check", *digits, *words, "--config.hooks.tensorboard=null") == 0
    assert "all checks passed" in capsys.readouterr().out
    assert calls == [1]
