"""Generator: transformers' tokens, rows that know nothing of each other, few compilations."""

from __future__ import annotations

import warnings

import jax
import numpy as np
import pytest

from jaxtrain.errors import ConfigError, DataError, NonFiniteError
from jaxtrain.generation import Generator, decoding, generate, generator
from jaxtrain.models.decoder import hidden_states, logits

PROMPTS = [[5, 6, 7], [1], list(range(20, 39)), [90, 3]]


@pytest.fixture(scope="module")
def writer(llama):
    return Generator(*llama)


def lists(found):
    return [row.tolist() for row in found]


@pytest.fixture(scope="module")
def greedy(writer):
    return lists(writer.generate(PROMPTS, max_new_tokens=20))


@pytest.mark.parametrize("case", ["llama grouped", "llama 3", "llama tied", "gemma"])
def test_greedy_is_that_of_transformers(case):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tests.models.decoder.test_parity import CASES, make_config, our_params, their_model

    options = dict(CASES[case])
    family = options.pop("family")
    config = make_config(family, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = their_model(family, config)
        expected = []
        for prompt in PROMPTS:
            tokens = torch.tensor([prompt])
            out = model.generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=40,
                do_sample=False,
            )
            expected.append(out[0, len(prompt) :].tolist())
    assert (
        lists(generate(our_params(model, config), config, PROMPTS, max_new_tokens=40)) == expected
    )
    assert len({token for row in expected for token in row}) > 10, "not the same token for ever"


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 3.0}, {"temperature": 3.0, "top_k": 90}], ids=str
)
def test_only_so_many_tokens_are_written(llama, writer, options):
    key = jax.random.key(0)
    most = max(max(row) for row in lists(writer.generate([[5], [6]], max_new_tokens=30)))
    fewer = Generator(*llama, tokens=most)
    rows = fewer.generate([[5], [6]], max_new_tokens=30, rng=key, **options)
    assert all(len(row) == 30 for row in rows)
    assert max(row.max() for row in rows) < most
    # A prompt may have the others.
    (row,) = fewer.generate([[most]], max_new_tokens=1)
    assert row[0] < most


def test_all_tokens_is_the_default(llama, writer):
    vocabulary = llama[1].vocab_size
    same = Generator(*llama, tokens=vocabulary).generate(PROMPTS, max_new_tokens=5)
    assert lists(same) == lists(writer.generate(PROMPTS, max_new_tokens=5))
    for wrong in (0, vocabulary + 1):
        with pytest.raises(ConfigError, match=f"tokens: expected 1 to {vocabulary}, found {wrong}"):
            Generator(*llama, tokens=wrong)


def test_greedy_is_that_of_the_trunk_without_a_cache(decoder_of):
    params, config = decoder_of
    found = generate(params, config, PROMPTS[:2], max_new_tokens=6)
    step = jax.jit(lambda tokens: logits(params, config, hidden_states(params, config, tokens)))
    for prompt, news in zip(PROMPTS[:2], found, strict=True):
        tokens = list(prompt)
        for token in news:
            scores = step(np.asarray([tokens + [0] * (16 - len(tokens))], np.int32))
            assert token == scores[0, len(tokens) - 1].argmax()
            tokens.append(int(token))


@pytest.mark.parametrize("options", [{}, {"temperature": 1.0}, {"temperature": 2.0, "top_p": 0.9}])
def test_a_row_does_not_depend_on_its_companions(writer, options):
    """Bit by bit in programs of one shape."""
    rng = jax.random.key(1) if options else None
    ours = PROMPTS[0]
    with_short = writer.generate([ours, [8], [9]], max_new_tokens=20, rng=rng, **options)
    with_long = writer.generate([ours, [8] * 15, [7] * 16], max_new_tokens=20, rng=rng, **options)
    assert with_short[0].tolist() == with_long[0].tolist()
    with_stopped = writer.generate(
        [ours, [8], [9]], max_new_tokens=20, rng=rng, stop=with_short[1][:1].tolist(), **options
    )
    kept = with_stopped[0].tolist()
    assert kept == with_short[0].tolist()[: len(kept)]


def test_nor_on_their_number_or_the_bucket(writer, greedy):
    """In another shape XLA sums in another order, and here nothing is that close."""
    for prompt, expected in zip(PROMPTS, greedy, strict=True):
        assert lists(writer.generate([prompt], max_new_tokens=20)) == [expected]
        beside_long = writer.generate([[3] * 100, prompt], max_new_tokens=20)
        assert beside_long[1].tolist() == expected


def test_states_in_another_shape_differ_by_rounding_alone(llama):
    params, config = llama
    weights = generator.by_layer(params)
    ours = np.asarray(PROMPTS[0], np.int32)
    read = jax.jit(decoding.read_prompts, static_argnums=1, static_argnames="size")
    alone, _ = read(weights, config, ours[None], np.asarray([3]), size=16)
    wide = np.zeros((5, 128), np.int32)
    wide[2, :3] = ours
    lengths = np.asarray([128, 7, 3, 1, 2])
    among, _ = read(weights, config, wide, lengths, size=256)
    error = np.abs(among[2] - alone[0]).max() / np.abs(alone[0]).max()
    assert error < 1e-5


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_a_stream_has_the_same_tokens(writer, greedy, chunk):
    parts = list(writer.stream(PROMPTS, max_new_tokens=20, chunk=chunk))
    assert [len(part[0]) for part in parts[:2]] == [1, min(chunk, 19)]
    assert lists(np.concatenate(rows) for rows in zip(*parts, strict=True)) == greedy


def test_draws_do_not_depend_on_chunks_and_room(writer, monkeypatch):
    options = {"max_new_tokens": 70, "temperature": 1.3, "rng": jax.random.key(3)}
    expected = lists(writer.generate(PROMPTS, **options))
    monkeypatch.setattr(generator, "_FIRST_ROOM", 16)
    parts = list(writer.stream(PROMPTS, chunk=5, **options))
    assert lists(np.concatenate(rows) for rows in zip(*parts, strict=True)) == expected
    other = lists(writer.generate(PROMPTS, **{**options, "rng": jax.random.key(4)}))
    assert other != expected


def test_equal_prompts_draw_each_for_itself(writer):
    found = lists(
        writer.generate([[1, 2]] * 3, max_new_tokens=12, temperature=2.0, rng=jax.random.key(0))
    )
    assert len({tuple(row) for row in found}) == 3


def test_first_tokens_follow_the_softmax(llama):
    """One draw a row of the same prompt, against the exact distribution."""
    params, config = llama
    rows = 4000
    found = generate(
        params, config, [[4, 2]] * rows, max_new_tokens=1, temperature=1.2, rng=jax.random.key(0)
    )
    scores = logits(params, config, hidden_states(params, config, np.asarray([[4, 2]])))[0, -1]
    expected = np.asarray(jax.nn.softmax(scores / 1.2)) * rows
    counts = np.bincount(np.concatenate(found), minlength=config.vocab_size)
    off = ((counts - expected) ** 2 / np.maximum(expected, 1e-9))[expected > 5].sum()
    degrees = (expected > 5).sum()
    assert degrees > 8
    assert off < degrees + 4 * (2 * degrees) ** 0.5


def test_a_stop_token_ends_its_row_alone_and_is_no_part_of_it(writer, greedy):
    stop = greedy[0][4]
    found = lists(writer.generate(PROMPTS, max_new_tokens=20, stop=[stop]))
    for row, whole in zip(found, greedy, strict=True):
        assert row == (whole[: whole.index(stop)] if stop in whole else whole)
    assert len(found[0]) <= 4


def test_a_stop_token_may_be_the_first(writer, greedy):
    parts = list(writer.stream(PROMPTS[:1], max_new_tokens=20, stop=[greedy[0][0], 95]))
    assert [lists(part) for part in parts] == [[[]]]


def test_the_loop_ends_when_all_rows_have(llama, greedy, writer, monkeypatch):
    numbers = []
    whole = generator.next_tokens

    def counting(*args, **options):
        state, found, number = whole(*args, **options)
        numbers.append(int(number))
        return state, found, number

    monkeypatch.setattr(generator, "next_tokens", counting)
    fifth = greedy[0][5]
    row = writer.generate(PROMPTS[:1], max_new_tokens=60, stop=[fifth])[0]
    assert row.tolist() == greedy[0][: greedy[0].index(fifth)]
    assert numbers == [len(row)]


def test_one_compilation_a_bucket_of_lengths(llama, monkeypatch):
    traced = []
    whole = decoding._chosen
    monkeypatch.setattr(
        decoding, "_chosen", lambda *a: (traced.append(a[-1].token.shape), whole(*a))[1]
    )
    jax.clear_caches()
    writer = Generator(*llama)
    for length in (17, 20, 32):
        for new in (33, 50, 64):
            writer.generate([[1] * length] * 3, max_new_tokens=new)
            writer.generate([[1] * length] * 3, max_new_tokens=new, stop=[1, 2, 3])
    assert len(traced) == 2, "one for prompts, one for tokens"
    for temperature in (0.5, 0.9):
        for top in ({"top_k": 4}, {"top_p": 0.5}, {"top_k": 8, "top_p": 0.9}):
            writer.generate(
                [[1] * 20] * 3,
                max_new_tokens=40,
                temperature=temperature,
                rng=jax.random.key(0),
                **top,
            )
    assert len(traced) == 4, "a filter's numbers are data"
    Generator(*llama).generate([[1] * 30] * 3, max_new_tokens=40)
    assert len(traced) == 4, "and so are the weights"
    writer.generate([[1] * 33] * 3, max_new_tokens=40)
    assert len(traced) == 6


@pytest.mark.parametrize(
    ("prompts", "options", "kind", "message"),
    [
        ([], {}, DataError, "prompts: expected at least one"),
        ([[1], []], {}, DataError, "prompt 1: is empty"),
        ([[1, 96]], {}, DataError, "prompt 0: expected tokens from 0 to 95, found 96 at 1"),
        ([[1]], {"max_new_tokens": 0}, ConfigError, "max_new_tokens: expected at least 1"),
        ([[1] * 250], {}, ConfigError, "prompt 0: its 250 tokens and max_new_tokens=20 are more"),
        ([[1]], {"top_p": 0.0, "temperature": 1.0}, ConfigError, "top_p: expected more than 0"),
        ([[1]], {"temperature": 1.0}, ConfigError, "rng: a temperature draws tokens"),
        ([[1]], {"stop": [96]}, ConfigError, "stop: expected tokens from 0 to 95, found 96"),
        ([[1]], {"chunk": 0}, ConfigError, "chunk: expected 1 to 64, found 0"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_asked_for(
    writer, prompts, options, kind, message
):
    with pytest.raises(kind, match=message):
        writer.stream(prompts, **{"max_new_tokens": 20, **options})


def test_the_longest_text_that_the_model_is_meant_for(writer):
    assert len(writer.generate([[1] * 236], max_new_tokens=20)[0]) == 20


def test_a_model_that_is_not_finite_is_told(llama):
    params, config = llama
    broken = jax.tree.map(lambda x: x, params)
    scale = broken["norm"]["scale"]
    broken["norm"] = {"scale": scale.at[0].set(np.nan)}
    with pytest.raises(NonFiniteError, match="prompt 0: what the model says of the next token"):
        generate(broken, config, [[1]], max_new_tokens=2)
