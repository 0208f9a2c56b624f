from __future__ import annotations

import json

import pytest

from jaxtrain.data.text.instructions_source import instruction_records
from jaxtrain.errors import ConfigError


@pytest.fixture
def root(tmp_path):
    lines = [{"prompt": f"{n} + 1 = ", "response": f"{n + 1}"} for n in range(20)]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def read(root, **options):
    options = {"path": "sums.jsonl", "root": str(root), "length": 24, **options}
    return instruction_records(0.1, 0, **options)


def learnt(splits, rows):
    """What is learnt of each document, as text with | behind each."""
    tokenizer, found = splits.reader.tokenizer, []
    arrays = rows.arrays
    for row in range(len(rows)):
        for segment in range(1, arrays["segments"][row].max() + 1):
            here = (arrays["segments"][row] == segment) & (arrays["mask"][row] > 0)
            prompt = (arrays["segments"][row] == segment) & (arrays["mask"][row] == 0)
            labels = arrays["labels"][row][here]
            found.append(
                (
                    tokenizer.decode(arrays["inputs"][row][prompt]),
                    tokenizer.decode(labels),
                    labels[-1] == splits.reader.eos,
                )
            )
    return found


def test_the_response_is_learnt_and_the_prompt_is_not(root):
    splits = read(root)
    assert [rows.packing.tokens.documents for rows in splits.sets.values()] == [16, 2, 2]
    every = [one for rows in splits.sets.values() for one in learnt(splits, rows)]
    assert len(every) == 20
    for prompt, response, ended in every:
        number = int(prompt.split(" ")[0])
        assert response == str(number + 1)
        assert ended
    assert splits.train.name == "sums"


def test_no_record_is_cut_that_fits(root):
    rows = read(root).train
    starts = rows.arrays["positions"][:, 0]
    assert (starts == 0).all()
    tokens = rows.packing.tokens
    assert {start for start, _ in rows.packing.spans.tolist()} <= {*tokens.offsets.tolist()}


def test_templates_and_options(root):
    splits = read(root, prompt="Q: {prompt}\nA:", response=" {response}", bos=True, eos=False)
    for prompt, response, ended in learnt(splits, splits.train):
        assert prompt.startswith("Q: ")
        assert response.startswith(" ")
        assert not ended
    assert splits.train.arrays["inputs"][0, 0] == splits.reader.bos == 256
    other = read(root, prompt="{prompt} ")
    assert other.train.fingerprint() != read(root).train.fingerprint()
    with pytest.raises(ConfigError, match=r"line 2: has no 'question' \(there are prompt, resp"):
        read(root, prompt="{question}")
