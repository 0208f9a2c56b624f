from __future__ import annotations

import collections

import numpy as np
import pytest

from jaxtrain.data.text.multiple_choice_source import QuestionRows, multiple_choice_records
from jaxtrain.errors import DataError
from jaxtrain.run import make_config
from jaxtrain.run.data import RunData

MMLU = {
    "path": "dev/*.csv",
    "validation": "val/*.csv",
    "test": "test/*.csv",
    "columns": ("question", "A", "B", "C", "D", "answer"),
    "choices": ("A", "B", "C", "D"),
    "answer_is": "letter",
    "prompt": "{question}\nA. {A}\nB. {B}\nC. {C}\nD. {D}\nAnswer:",
    "choice": " {letter}",
}
MEDMCQA = {
    "path": "medmcqa_validation.jsonl",
    "choices": ("options",),
    "answer_is": "text",
    "prompt": "{question}\n",
}
COPA = {
    "path": "COPA_train.tsv",
    "validation": "COPA_dev.tsv",
    "test": "COPA_test.tsv",
    "choices": ("1", "2"),
    "answer": "Answer",
    "answer_is": "number_from_1",
    "prompt": "{sentence} {question}: ",
}
HELLASWAG = {
    "path": "HellaSwag_train.tsv",
    "test": "HellaSwag_test.tsv",
    "choices": ("choice1", "choice2", "choice3", "choice4"),
    "answer": "label",
    "answer_is": "number_from_0",
    "prompt": "{context}",
    "choice": " {choice}",
}


@pytest.fixture
def read(shared_data, tmp_path):
    def read(folder, **options):
        return multiple_choice_records(
            0.1, 0, root=str(shared_data / folder), cache=str(tmp_path), **options
        )

    return read


def test_mmlu(read):
    splits = read("mmlu_medical", **MMLU)
    questions = {name: list(rows.questions()) for name, rows in splits.sets.items()}
    assert {name: len(found) for name, found in questions.items()} == {
        "train": 45,
        "validation": 197,
        "test": 1794,
    }
    first = questions["test"][0]
    assert first.prompt.startswith("A lesion causing compression of the facial nerve")
    assert first.prompt.endswith("\nAnswer:")
    assert first.choices == (" A", " B", " C", " D")
    assert first.answer == 0


def test_medmcqa(read):
    splits = read("medmcqa", **MEDMCQA)
    rows = splits.sets
    answers = collections.Counter(q.answer for one in rows.values() for q in one.questions())
    assert [answers[place] for place in range(4)] == [1348, 1085, 925, 825]
    assert isinstance(rows["test"], QuestionRows)
    assert [len(list(one.questions())) for one in rows.values()] == [
        one.packing.tokens.documents for one in rows.values()
    ]


def test_kobest(read):
    copa = read("kobest", **COPA)
    assert [len(list(rows.questions())) for rows in copa.sets.values()] == [3076, 500, 1000]
    assert {q.answer for q in copa.train.questions()} == {0, 1}
    swag = read("kobest", **HELLASWAG)
    assert [len(list(rows.questions())) for rows in swag.sets.values()] == [1826, 203, 500]
    assert {q.answer for q in swag.test.questions()} == {0, 1, 2, 3}


def test_the_right_choice_is_learnt_behind_its_prompt(read):
    splits = read("kobest", **HELLASWAG, length=1024)
    tokenizer, arrays = splits.reader.tokenizer, splits.test.arrays
    questions = splits.test.questions()
    for row in range(20):
        for segment in range(1, arrays["segments"][row].max() + 1):
            here = arrays["segments"][row] == segment
            learnt = here & (arrays["mask"][row] > 0)
            question = next(questions)
            right = question.choices[question.answer]
            assert tokenizer.decode(arrays["labels"][row][learnt]) == right
            assert tokenizer.decode(arrays["inputs"][row][here]) == question.prompt + right


def test_an_answer_that_is_none(tmp_path):
    (tmp_path / "q.csv").write_text("question,a,b,answer\nwhich,1,2,A\nother,1,2,C\n")
    options = {"path": "q.csv", "root": str(tmp_path), "choices": ("a", "b"), "answer_is": "letter"}
    with pytest.raises(DataError, match=r"q\.csv, line 3: 'answer': expected A, B, found 'C'"):
        multiple_choice_records(0.0, 0, test_fraction=0.5, **options)


def test_other_templates_are_other_tokens(tmp_path):
    """They share a cache: what was kept of one must not be taken for the other."""
    (tmp_path / "q.csv").write_text("question,a,b,answer\nwhich,1,2,A\nother,1,2,B\n")
    options = {"path": "q.csv", "root": str(tmp_path), "choices": ("a", "b"), "answer_is": "letter"}
    prints = {
        multiple_choice_records(
            0.0, 0, test_fraction=0.5, **{**options, **more}
        ).train.fingerprint()
        for more in (
            {},
            {"choice": "{letter}"},
            {"prompt": "{question}?\n"},
            {"choices": ("b", "a")},
        )
    }
    assert len(prints) == 4


def test_by_config_and_with_a_trained_models_tokenizer(shared_data, tmp_path):
    section = {**MEDMCQA, "name": "multiple_choice", "tokenizer": "characters"}
    section |= {"root": str(shared_data / "medmcqa"), "cache": str(tmp_path), "length": 256}
    data = RunData.of(make_config({"data": section}))
    assert data.broken == ()
    fitted = data.splits.reader.state()
    later = multiple_choice_records(
        0.1, 0, fitted, **{key: value for key, value in section.items() if key != "name"}
    )
    assert later.test.fingerprint() == data.splits.test.fingerprint()
    batch = next(iter(data.loader))
    assert 0 < np.mean(batch["mask"]) < 0.5
