import pytest

from jaxtrain.data.text.facts_source import _LANGUAGES
from jaxtrain.errors import ConfigError
from jaxtrain.run import make_config
from jaxtrain.run.data import read_splits


def splits(root, **options):
    data = {"name": "facts", "root": str(root), "length": 64, "count": 12, **options}
    return read_splits(make_config({"data": data}))


@pytest.mark.parametrize("domain", sorted(_LANGUAGES))
def test_each_fact_is_told_in_every_wording_and_asked_in_the_first(tmp_path, domain):
    made = splits(tmp_path, domain=domain)
    asked, told = list(made.test.questions()), list(made.train.questions())
    wordings = _LANGUAGES[domain].wordings
    assert len(asked) == 12
    assert len(told) == 12 * len(wordings)
    known = {question.prompt: question.choices[question.answer] for question in told}
    assert len(known) == len(told)
    assert all(known[one.prompt] == one.choices[one.answer] for one in asked)
    assert all(len(set(one.choices)) == 4 for one in asked)
    assert {one.prompt for one in made.validation.questions()} <= {one.prompt for one in asked}


def test_they_are_a_function_of_the_options_and_the_files_are_not_written_twice(tmp_path):
    first = list(splits(tmp_path / "a").test.questions())
    assert first == list(splits(tmp_path / "b").test.questions())
    assert first != list(splits(tmp_path / "a", facts_seed=1).test.questions())
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "b/facts").iterdir()}
    splits(tmp_path / "b")
    assert files == {path: path.stat().st_mtime_ns for path in (tmp_path / "b/facts").iterdir()}


def test_a_file_that_somebody_edited_is_written_anew(tmp_path):
    first = list(splits(tmp_path).test.questions())
    for path in (tmp_path / "facts").iterdir():
        path.write_text(path.read_text()[:50])
    assert list(splits(tmp_path).test.questions()) == first


def test_more_facts_than_keys_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="korean has 144 keys, found 145"):
        splits(tmp_path, domain="korean", count=145)
