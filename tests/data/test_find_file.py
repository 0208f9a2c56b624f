import gzip

import pytest

from jaxtrain.data import find_file, open_data
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError


def test_plain_before_gz(tmp_path):
    (tmp_path / "a.gz").touch()
    assert find_file(tmp_path, "a", remedy="-") == tmp_path / "a.gz"
    (tmp_path / "a").touch()
    assert find_file(tmp_path, "a", remedy="-") == tmp_path / "a"
    assert find_file(tmp_path, "a.gz", remedy="-") == tmp_path / "a.gz"


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a").touch()
    assert find_file("~", "a", remedy="-") == tmp_path / "a"


def test_missing_names_path_what_was_looked_for_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "labels").mkdir(parents=True)  # a directory is not the file
    with pytest.raises(DataNotFoundError) as caught:
        find_file("data", "labels", remedy="set data.root")
    assert str(caught.value) == (
        f"data file not found: {tmp_path}/data/labels "
        f"(looked for labels or labels.gz in {tmp_path}/data); set data.root"
    )
    assert caught.value.exit_code == 2


def test_both_forms_read_alike(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"abc"))
    for name in ("a", "a.gz"):
        with open_data(tmp_path / name) as stream:
            assert stream.read() == b"abc"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: b"no" + content[2:], "corrupt gzip file"),
        (lambda content: content[:15] + b"\xff\xff\xff" + content[18:], "corrupt gzip file"),
        (lambda content: content[:-8] + b"\0" * 8, "corrupt gzip file .*CRC"),
        (lambda content: content[:-12], "truncated"),
    ],
)
def test_corrupt_gzip(tmp_path, spoil, message):
    path = tmp_path / "a.gz"
    path.write_bytes(spoil(gzip.compress(bytes(range(256)) * 20)))
    with pytest.raises(DataError, match=message) as caught, open_data(path) as stream:
        stream.read()
    assert str(path) in str(caught.value)


def test_a_name_may_be_a_path_and_be_packed_there(tmp_path):
    """Seen (C15): a traceback for any name with a slash in it."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.csv.gz").write_bytes(b"")
    assert find_file(tmp_path, "a/x.csv", remedy="") == tmp_path / "a" / "x.csv.gz"
    assert find_file("/no", str(tmp_path / "a" / "x.csv"), remedy="").name == "x.csv.gz"
    for name in ("a/no.csv", "..", "/"):
        with pytest.raises(DataNotFoundError):
            find_file(tmp_path, name, remedy="")
    with pytest.raises(ConfigError, match="data file: '' can't be a path"):
        find_file(tmp_path, "", remedy="")
