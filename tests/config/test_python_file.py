"""Files of Python that the user named."""

import pytest

from jaxtrain.config.python_file import execute
from jaxtrain.errors import ConfigError, DataError


def test_it_runs_and_nothing_is_written_beside_it(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("VALUE = __name__\n")
    assert execute(path, "called").VALUE == "called"
    assert [p.name for p in tmp_path.iterdir()] == ["mine.py"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = 1 / 0\n", r"mine\.py:2: ZeroDivisionError: division by zero"),
        ("a = (\n", r"mine\.py:1: SyntaxError"),
        ("import json\n\n\njson.loads('{')\n", r"mine\.py:4: JSONDecodeError"),
        ("def f():\n    raise KeyError('x')\nf()\n", r"mine\.py:2: KeyError: 'x'"),
    ],
)
def test_whatever_it_raises_names_its_line(tmp_path, text, message):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        execute(path, "mine")


def test_what_says_already_what_is_wrong_is_left_alone(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("from jaxtrain.errors import DataError\nraise DataError('torn')\n")
    with pytest.raises(DataError, match=r"^torn$"):
        execute(path, "mine")
