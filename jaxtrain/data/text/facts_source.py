"""Made-up facts as questions: what a model knows, and what it has forgotten, can be counted.

    splits = facts(0.0, seed=0, domain="korean", count=64)
    next(splits.test.questions()).prompt                     # "질문: 누라의 색은?\\n답: "

A fact gives a value to a key, a word that stands nowhere else. Training tells it in several
wordings, the test asks for it in the first of them: what is measured is what the model knows of
what it was told. Nothing is downloaded: they are a function of the options.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pydantic

from jaxtrain.data.reader import READERS
from jaxtrain.data.sources import SOURCES
from jaxtrain.data.splits import Splits
from jaxtrain.data.text.multiple_choice_source import multiple_choice_records
from jaxtrain.data.text.preparing import Length
from jaxtrain.data.text.text_reader import TextReader, tokenizer_of
from jaxtrain.errors import ConfigError
from jaxtrain.files import make_directory, replacing
from jaxtrain.files.paths import typed_directory

Domain = Literal["general", "korean", "medical", "questions"]
Count = Annotated[int, pydantic.Field(ge=4, le=4096)]
Seed = Annotated[int, pydantic.Field(ge=0, lt=2**31)]

_CHOICES = 4


class _Language(NamedTuple):
    """Of what the facts of a domain are made.

    Attributes:
        first: syllables that a key begins with.
        last: syllables that it ends with.
        values: what a key may have.
        wordings: ways to ask, with {key}; the first is that of the test.
    """

    first: tuple[str, ...]
    last: tuple[str, ...]
    values: tuple[str, ...]
    wordings: tuple[str, ...]


_LANGUAGES: Mapping[str, _Language] = {
    "general": _Language(
        ("bal", "cor", "dun", "fel", "gar", "hol", "jin", "kel", "lom", "mar", "nor", "pel"),
        ("ado", "ebri", "iga", "ola", "uma", "ystra", "enno", "arth", "isk", "otto", "undi", "ez"),
        ("river", "castle", "harbor", "forest", "desert", "island", "bridge", "valley"),
        ("Tell me: {key} is a ", "What is {key}? A ", "{key} is a ", "They call {key} a "),
    ),
    "korean": _Language(
        ("가", "나", "다", "라", "마", "바", "사", "아", "자", "차", "카", "타"),
        ("람", "루", "빛", "솔", "별", "누", "온", "결", "담", "봄", "샘", "울"),
        ("빨강", "파랑", "노랑", "초록", "보라", "하양", "검정", "주황"),
        ("{key}의 색: ", "{key}은 무슨 색? ", "색이 {key}: ", "{key} 색은 "),
    ),
    "medical": _Language(
        ("ab", "cef", "dex", "flu", "gli", "ket", "lev", "met", "nap", "oxa", "pra", "tri"),
        ("zolin", "micin", "prazol", "statin", "tadine", "vir", "pril", "lam", "fen", "dol"),
        ("fever", "cough", "asthma", "anemia", "gout", "ulcer", "migraine", "eczema"),
        (
            "Rx {key} treats ",
            "{key} is given for ",
            "The use of {key}: ",
            "Patients take {key} for ",
        ),
    ),
    "questions": _Language(
        ("Q-A", "Q-B", "Q-C", "Q-D", "Q-E", "Q-F", "Q-G", "Q-H", "Q-I", "Q-J", "Q-K", "Q-L"),
        ("10", "23", "37", "41", "56", "68", "72", "85", "94", "19", "33", "60"),
        ("iron", "zinc", "gold", "lead", "neon", "tin", "argon", "boron"),
        ("Item {key} -> ", "Answer to {key}: ", "{key} = ", "Key {key}, value "),
    ),
}


@SOURCES.register("facts")
def facts(
    validation_fraction: float,
    seed: int,
    fitted: Mapping[str, Any] | None = None,
    *,
    domain: Domain = "general",
    count: Count = 64,
    facts_seed: Seed = 0,
    root: str = "data",
    length: Length = 128,
    tokenizer: str = "bytes",
) -> Splits:
    """Questions about made-up facts, each with four choices.

    Args:
        validation_fraction: of no account: a quarter of the questions of the test are what training
            is watched by.
        seed: of no account: what the facts are, `facts_seed` says.
        fitted: what the reader of a trained model says of itself.
        domain: their words.
        count: how many facts.
        facts_seed: draws keys and values.
        root: a directory, made where it is not there; their files are written into `facts` below.
        length: L, the tokens of a row.
        tokenizer: "bytes", or a file below `root`.

    Raises:
        ConfigError: the domain has fewer keys than `count`, or the directory can't be written.
    """
    told = list(_facts(domain, count, facts_seed))
    words = _LANGUAGES[domain].wordings
    sets = {
        "train": [_record(fact, word) for fact in told for word in words],
        "validation": [_record(fact, words[0]) for fact in told[::4]],
        "test": [_record(fact, words[0]) for fact in told],
    }
    names = _written(Path(typed_directory(root, what="data.root")), domain, sets)
    return multiple_choice_records(
        0.0,
        0,
        fitted,
        path=names["train"],
        validation=names["validation"],
        test=names["test"],
        choices=("choices",),
        answer_is="number_from_0",
        root=root,
        prompt="{question}",
        choice="{choice}",
        length=length,
        tokenizer=tokenizer,
    )


@READERS.register("facts")
def facts_reader(state: Mapping[str, Any], *, tokenizer: str, root: str) -> TextReader:
    """The reader of a trained model, from what it said of itself; the options are the source's."""
    return TextReader(tokenizer_of(state, tokenizer, root=root), bos=None, eos=None)


class _Fact(NamedTuple):
    key: str
    choices: tuple[str, ...]
    answer: int


def _facts(domain: str, count: int, seed: int) -> Iterator[_Fact]:
    language = _LANGUAGES[domain]
    keys = [first + last for first in language.first for last in language.last]
    if count > len(keys):
        raise ConfigError(f"data.count: {domain} has {len(keys)} keys, found {count}")
    rng = random.Random(f"{domain} {seed}")
    for key in rng.sample(keys, count):
        choices = rng.sample(language.values, _CHOICES)
        yield _Fact(key, tuple(choices), rng.randrange(_CHOICES))


def _record(fact: _Fact, wording: str) -> dict[str, Any]:
    question = wording.format(key=fact.key)
    return {"question": question, "choices": list(fact.choices), "answer": fact.answer}


def _written(root: Path, domain: str, sets: Mapping[str, list[dict[str, Any]]]) -> dict[str, str]:
    """The names of the files below `root`, by set; each is there, whole."""
    names = {}
    for part, records in sets.items():
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        names[part] = f"facts/{domain}-{part}-{digest}.jsonl"
        path = root / names[part]
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        try:
            make_directory(path.parent)
            with replacing(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"data.root: {path} can't be written ({error.strerror}); name another directory"
            ) from None
    return names
