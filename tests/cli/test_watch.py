"""Tests of jaxtrain.cli.watch."""

import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from jaxtrain.cli import watch
from jaxtrain.errors import ConfigError
from tests.report.page.small import epochs, written


@pytest.fixture
def run(tmp_path):
    return written(tmp_path / "digits" / "first", rows=epochs()).path


def test_it_says_where_the_page_is_and_ctrl_c_ends_it(run):
    command = [sys.executable, "-m", "jaxtrain.main", "watch", str(run), "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        said = process.stdout.readline()
        assert said.startswith("digits/first: http://127.0.0.1:")
        assert said.endswith("/ (Ctrl-C ends this)\n")
        with urllib.request.urlopen(f"{said.split()[1]}data.json", timeout=30) as answer:
            assert b'"digits/first"' in answer.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read() == "stopped at once\n"


@pytest.mark.parametrize(("words", "opened"), [([], 1), (["--no-browser"], 0)])
def test_a_browser_is_opened_where_there_is_a_screen(run, call, monkeypatch, capsys, words, opened):
    urls = []
    monkeypatch.setattr("webbrowser.open", urls.append)
    monkeypatch.setattr("jaxtrain.report.PageServer.serve_forever", lambda self: None)
    monkeypatch.setattr(watch, "_has_screen", lambda: True)
    assert call("watch", str(run), *words) == 0
    assert len(urls) == opened
    assert all(url in capsys.readouterr().out for url in urls)
    monkeypatch.setattr(watch, "_has_screen", lambda: False)
    call("watch", str(run), *words)
    assert len(urls) == opened


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_what_a_screen_is(monkeypatch, name):
    monkeypatch.setattr(sys, "platform", "linux")
    for one in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(one, raising=False)
    assert not watch._has_screen()
    monkeypatch.setenv(name, ":0")
    assert watch._has_screen()


def test_a_port_that_is_taken_is_said(run, call):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigError, match="another program has it; choose another"):
            call("watch", str(run), "--no-browser", "--port", str(other.getsockname()[1]))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing"], "no run of that name"),
        (["--port", "x"], "invalid int value"),
        (["--port", "-1"], "expected 0 to 65,535"),
        (["--config.seed=3"], "takes no --config"),
    ],
)
def test_what_is_wrong_is_said(run, call, words, says, monkeypatch):
    monkeypatch.chdir(run.parent)
    given = words if words == ["nothing"] else [str(run), *words]
    with pytest.raises(ConfigError, match=says):
        call("watch", *given)
