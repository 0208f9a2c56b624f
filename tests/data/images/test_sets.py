import pytest

from jaxtrain.data.images.sets import find_sets
from jaxtrain.errors import ConfigError, DataNotFoundError


def found(root, *folders, fitted=False, **told):
    for folder in folders:
        (root / folder / "a").mkdir(parents=True)
    told = {"train": None, "validation": None, "test": None, **told}
    sets = find_sets(root, **told, fitted=fitted)
    return {name: str(path.relative_to(root)) for name, path in sets.items()}


@pytest.mark.parametrize(
    ("folders", "sets"),
    [
        (["crow", "gull"], {"train": "."}),
        (["train", "test"], {"train": "train", "test": "test"}),
        (["Train", "val", "Test"], {"train": "Train", "validation": "val", "test": "Test"}),
        (["train", "validation"], {"train": "train", "validation": "validation"}),
        (["train", "bus", "test"], {"train": "."}),  # vehicles, one of which is a train
        (["test", "valid"], {"train": "."}),
    ],
)
def test_sets_are_known_by_their_names_where_no_folder_has_another(tmp_path, folders, sets):
    (tmp_path / "README.md").write_text("")
    (tmp_path / ".git").mkdir()
    assert found(tmp_path, *folders) == sets


def test_sets_that_are_told(tmp_path):
    assert found(tmp_path, "train", "test", train="train") == {"train": "train"}
    sets = find_sets(tmp_path, train=None, validation="v", test=None, fitted=False)
    assert sets == {"train": tmp_path, "validation": tmp_path / "v"}


def test_the_training_folder_may_be_gone_once_the_model_is_trained(tmp_path):
    assert found(tmp_path, "test", fitted=True) == {"test": "test"}
    assert found(tmp_path, train="gone", test="test", fitted=True) == {"test": "test"}
    assert found(tmp_path, train="gone", test="test") == {"train": "gone", "test": "test"}


def test_sets_that_contradict_each_other(tmp_path):
    with pytest.raises(ConfigError, match=r"both val and valid could be the validation set"):
        found(tmp_path, "train", "val", "valid")
    with pytest.raises(ConfigError, match=r"data\.test: .* is the train set, too"):
        found(tmp_path, train="x", test="./x")
    (tmp_path / "y").symlink_to(tmp_path / "train")
    with pytest.raises(ConfigError, match=r"data\.validation: .* is the train set, too"):
        found(tmp_path, train="train", validation="y")
    with pytest.raises(ConfigError, match=r"data\.test: 'a\\x00b' can't be a path"):
        found(tmp_path, test="a\0b")
    with pytest.raises(DataNotFoundError, match="found nothing"):
        found(tmp_path / "none")
