from __future__ import annotations

import pytest

from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.models.hf.strict_json import MOST, parse_object, quoted, read_object


def test_an_object_is_read(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"a": {"b": [1, null]}, "c": "é"}', encoding="utf-8")
    assert read_object(path, error=DataError) == {"a": {"b": [1, None]}, "c": "é"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe{}", "not valid JSON"),
        (b"[1]", "expected a JSON object, found list"),
        (b'{"a": 1, "a": 2}', "'a' is there twice"),
        (b'{"b": {"a": 1, "a": 1}}', "'a' is there twice"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
    ],
)
@pytest.mark.parametrize("error", [ConfigError, DataError])
def test_what_is_none_is_refused_with_its_place(content, message, error):
    with pytest.raises(error, match=message) as caught:
        parse_object(content, place="x.json", error=error)
    assert type(caught.value) is error
    assert str(caught.value).startswith("x.json: ")


def test_a_huge_file_is_not_parsed(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b"{" + b" " * MOST + b"}")
    with pytest.raises(DataError, match="larger than"):
        read_object(path, error=DataError)


def test_what_is_no_file_is_named(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(DataNotFoundError, match="there is no such file"):
            read_object(path, error=DataError)


def test_quotes_stay_short_and_on_one_line():
    assert quoted("a\nb") == r"'a\nb'"
    for value in ("x" * 10**6, [10**50] * 1000, {"a": "b" * 10**6}, "\ud800" * 1000):
        assert len(quoted(value)) <= 700
        quoted(value).encode()
