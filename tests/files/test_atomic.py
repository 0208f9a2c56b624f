import pytest

from jaxtrain.errors import DataNotFoundError
from jaxtrain.files.atomic import replacing


def test_the_new_content_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    for text in ("one", "two"):
        with replacing(path) as temporary:
            temporary.write_text(text)
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("ha")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_that_is_not_the_file_systems_keeps_its_text(tmp_path):
    def refuse():
        with replacing(tmp_path / "file.txt"):
            raise DataNotFoundError("the server says no")  # an OSError, by its tree

    with pytest.raises(DataNotFoundError, match=r"^the server says no$"):
        refuse()


def test_a_failed_write_names_its_file(tmp_path):
    def write():
        with replacing(tmp_path / "file.txt"):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*file\.txt'"):
        write()


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file.txt"):
        pass
    assert list(tmp_path.iterdir()) == []
