from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.config.yaml_form import read
from jaxtrain.run.beginning.config_file import config_text


def test_a_section_of_numbers_is_a_line_and_comments_stand_beside():
    config = {
        "project": "birds",
        "data": {"name": "images", "root": "a: b", "size": [8, 8]},
        "model": {"name": "cnn", "channels": [16, 32]},
        "train": {"epochs": 3},
        "x": {"words": "a b"},
    }
    comments = {
        "data.root": "from here",
        "data.none": "no",
        "loss": "loss: {a: b}",
        "train.epochs": "few",
    }
    assert config_text(config, comments).splitlines()[1:] == [
        "project: birds",
        "data:",
        "  name: images",
        "  root: 'a: b'  # from here",
        "  size: [8, 8]",
        "model: {name: cnn, channels: [16, 32]}",
        "train:",
        "  epochs: 3  # few",
        "x:",
        "  words: a b",
        "# loss: {a: b}",
    ]


def test_a_comment_on_a_long_text_stands_above_it():
    config = {"data": {"root": "word " * 60 + "end"}}
    text = config_text(config, {"data.root": "long"})
    assert text.splitlines()[2] == "  # long"
    assert read(text, "x")[0] == config
    config = {"data": {"nested": {"a": 1, "b": 2}}}
    assert read(config_text(config, {"data.nested": "two"}), "x")[0] == config


KEYS = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=150)
)
VALUES = SCALARS | st.lists(SCALARS, max_size=4)


@settings(max_examples=150, derandomize=True)
@given(
    st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=4), max_size=4),
    st.booleans(),
)
def test_what_is_written_is_read_as_it_was(config, comment):
    comments = {}
    if comment:
        comments = dict.fromkeys(config, "a comment")
        comments |= {
            f"{key}.{name}": "another: {one}"
            for key, section in config.items()
            if isinstance(section, dict)
            for name in section
        }
    found, _ = read(config_text(config, comments), "x")
    assert (found or {}) == as_read(config)


def as_read(value):
    if isinstance(value, dict):
        return {key: as_read(item) for key, item in value.items()}
    return tuple(map(as_read, value)) if isinstance(value, list) else value
