import jax.numpy as jnp
import pytest

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.lora import LoRAConfig
from jaxtrain.phases import Entry, Ledger, digest_of
from jaxtrain.phases.ledger import options_of


def entry(phase, base, merged, **given):
    return Entry(phase=phase, run=f"phases/{phase}", iteration=3, base=base, merged=merged, **given)


def test_it_is_read_as_it_was_written(tmp_path):
    options = options_of(LoRAConfig(rank=2, rank_pattern={"q": 4}))
    ledger = Ledger().with_entry(entry("a", "0", "1", adapter="x", lora=options))
    ledger = ledger.with_entry(entry("b", "1", "2", lost={"q": 0.25}))
    ledger.write(tmp_path / "ledger.json")
    assert Ledger.read(tmp_path / "ledger.json") == ledger
    assert Ledger.read(tmp_path / "none.json") == Ledger()


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (entry("a", "1", "2"), "phase 'a' is there already"),
        (entry("b", "1", "2", adapter="x"), "was merged as phase 'a' already"),
        (entry("b", "0", "2", adapter="y"), r"phase 'a' has made 1; another machine"),
    ],
)
def test_no_adapter_is_merged_twice_and_none_onto_something_else(second, says):
    ledger = Ledger().with_entry(entry("a", "0", "1", adapter="x"))
    with pytest.raises(ConfigError, match=says):
        ledger.with_entry(second)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"version": 2, "entries": []}',
        '{"version": 1}',
        '{"version": 1, "entries": [{"phase": "a"}]}',
        '{"version": 1, "entries": 3}',
    ],
)
def test_a_broken_one_is_named(tmp_path, text):
    (tmp_path / "ledger.json").write_text(text)
    with pytest.raises(DataError, match=r"ledger\.json"):
        Ledger.read(tmp_path / "ledger.json")


def test_an_edited_one_is_found(tmp_path):
    """Two entries that do not go on from each other."""
    path = tmp_path / "ledger.json"
    Ledger().with_entry(entry("a", "0", "1")).with_entry(entry("b", "1", "2")).write(path)
    path.write_text(path.read_text().replace('"base": "1"', '"base": "7"'))
    with pytest.raises(DataError, match="began with 7"):
        Ledger.read(path)


def test_a_digest_knows_names_shapes_dtypes_and_every_bit():
    tree = {"a": jnp.arange(6, dtype=jnp.float32)}
    others = [
        {"b": tree["a"]},
        {"a": tree["a"].reshape(2, 3)},
        {"a": tree["a"].astype(jnp.int32)},
        {"a": tree["a"].at[5].add(1e-6)},
    ]
    digests = [digest_of(one) for one in (tree, *others)]
    assert digest_of({"a": tree["a"] + 0}) == digests[0]
    assert len(set(digests)) == 5
