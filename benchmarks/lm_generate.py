"""`python -m benchmarks lm_generate`: tokens a second, here and with transformers.

    python -m benchmarks lm_generate
    python -m benchmarks lm_generate --batches 1 --modes greedy --cores 1

A Llama of 6 layers, D = 384, V = 4096, float32, with random weights goes on for 128 tokens behind
prompts of 64; greedily, and drawn with top-p 0.9. Each framework has a process of its own, with the
threads that it takes by default on the cores it is given; after one round that nobody counts
(compilation, first touches) they take turns. Prompts are read within the time that is measured.

A figure is the median of its rounds, a ratio the median of the ratios within the rounds. Tokens per
second of processor time stand beside those by the clock: on a machine that others use as well they
say more, with one core above all, since threads that wait for each other spin.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine_facts
from jaxtrain.files import replacing

RESULTS = Path(__file__).with_name("results") / "lm_generate.json"
SIZES = {"vocab_size": 4096, "width": 384, "layers": 6, "heads": 6, "hidden": 1024}
PROMPT = 64
TOP_P = 0.9
MODES = ("greedy", "top-p")
NEEDS = {"jaxtrain": ("jax",), "transformers": ("torch", "transformers")}

# From prompts [B, L], how many tokens and a mode to new tokens [B, T].
Write = Callable[[np.ndarray, int, str], np.ndarray]
Rounds = dict[str, dict[str, list[dict[str, float]]]]


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks lm_generate")
    parser.add_argument("--batches", default="1,8", help="numbers of prompts")
    parser.add_argument("--new", type=int, default=128, help="new tokens of each prompt")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layers", type=int, default=SIZES["layers"])
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--cores", type=int, help="how many each may use; all by default")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    sizes = SIZES | {"layers": options.layers}
    absent = [name for name, needs in NEEDS.items() if not all(map(find_spec, needs))]
    if absent:
        print(f"left out, as not installed: {', '.join(absent)}; the extra 'peers' has them")
    rounds = measure(
        [name for name in NEEDS if name not in absent],
        sizes,
        batches=[int(number) for number in options.batches.split(",")],
        modes=options.modes.split(","),
        new=options.new,
        rounds=options.rounds,
        cores=options.cores,
    )
    record = {
        "machine": machine_facts(["jaxtrain", "jax", "jaxlib", "torch", "transformers"]),
        "sizes": sizes,
        "prompt": PROMPT,
        "cores": options.cores,
        "new": options.new,
        "tasks": {task: summary(found) for task, found in rounds.items()},
    }
    print("\n".join(table(record["tasks"])))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(options.out) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")


def measure(
    frameworks: Sequence[str],
    sizes: dict[str, int],
    *,
    batches: Sequence[int],
    new: int,
    rounds: int,
    modes: Sequence[str] = MODES,
    cores: int | None = None,
) -> Rounds:
    """Tokens a second by task and framework, round by round."""
    found: Rounds = {}
    with ExitStack() as stack:
        context = get_context("spawn")
        workers = {
            name: stack.enter_context(
                ProcessPoolExecutor(1, mp_context=context, initializer=_keep_to, initargs=(cores,))
            )
            for name in frameworks
        }
        for name, worker in workers.items():
            worker.submit(_prepare, name, sizes).result()
        for batch in batches:
            for mode in modes:
                task = f"{mode}, {batch} prompt{'s' if batch > 1 else ''}"
                found[task] = {name: [] for name in frameworks}
                for number in range(rounds + 1):
                    for name, worker in workers.items():
                        one = worker.submit(_round, batch, new, mode).result()
                        said = f"{task}, round {number}: {name} {one['clock']:,.0f}"
                        print(f"  {said}, {one['processor']:,.0f}", file=sys.stderr)
                        if number:
                            found[task][name].append(one)
    return found


def summary(rounds: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians of the rounds, and how many times as fast jaxtrain is.

    >>> one = {"jaxtrain": [{"clock": 30.0, "processor": 20.0}]}
    >>> found = summary(one | {"transformers": [{"clock": 10.0, "processor": 5.0}]})
    >>> found["times_as_fast"]
    {'transformers': {'clock': 3.0, 'processor': 4.0}}
    """
    ours = rounds["jaxtrain"]
    return {
        "tokens_per_second": {
            name: {
                of: statistics.median(one[of] for one in measured) for of in ("clock", "processor")
            }
            | {"rounds": measured}
            for name, measured in rounds.items()
        },
        "times_as_fast": {
            name: {
                of: statistics.median(a[of] / b[of] for a, b in zip(ours, measured, strict=True))
                for of in ("clock", "processor")
            }
            for name, measured in rounds.items()
            if name != "jaxtrain"
        },
    }


def table(tasks: dict[str, dict[str, Any]]) -> list[str]:
    lines = ["tokens a second by the clock, per second of processor time (how many times as fast)"]
    for task, found in tasks.items():
        lines.append(task)
        for name, figures in found["tokens_per_second"].items():
            ratio = found["times_as_fast"].get(name)
            behind = ratio and f"   ({ratio['clock']:.2f}×, {ratio['processor']:.2f}×)"
            lines.append(
                f"  {name:14}{figures['clock']:9,.0f}{figures['processor']:9,.0f}{behind or ''}"
            )
    return lines


# -- in the processes of the frameworks ----------------------------------------------------------

_write: Write | None = None


def _keep_to(cores: int | None) -> None:
    """Before a library counts them."""
    if cores is not None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def _prepare(name: str, sizes: dict[str, int]) -> None:
    global _write
    _write = {"jaxtrain": _jaxtrain, "transformers": _transformers}[name](sizes)


def _round(batch: int, new: int, mode: str) -> dict[str, float]:
    assert _write is not None
    prompts = np.random.default_rng(0).integers(1, SIZES["vocab_size"], (batch, PROMPT))
    clock, processor = time.perf_counter(), time.process_time()
    written = _write(prompts, new, mode)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    assert written.shape == (batch, new)
    return {"clock": written.size / clock, "processor": written.size / processor}


def _jaxtrain(sizes: dict[str, int]) -> Write:
    import jax

    from jaxtrain.generation import Generator
    from jaxtrain.models.decoder import DecoderConfig, initial_params

    config = DecoderConfig.llama(**sizes)
    generator = Generator(initial_params(jax.random.key(0), config), config)
    drawn = {"temperature": 1.0, "top_p": TOP_P, "rng": jax.random.key(0)}

    def write(prompts: np.ndarray, new: int, mode: str) -> np.ndarray:
        how: dict[str, Any] = {} if mode == "greedy" else drawn
        return np.stack(generator.generate(prompts, max_new_tokens=new, **how))

    return write


def _transformers(sizes: dict[str, int]) -> Write:
    warnings.simplefilter("ignore")
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=sizes["vocab_size"],
            hidden_size=sizes["width"],
            intermediate_size=sizes["hidden"],
            num_hidden_layers=sizes["layers"],
            num_attention_heads=sizes["heads"],
            num_key_value_heads=sizes["heads"],
            tie_word_embeddings=False,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=None,
        )
    ).eval()
    drawn = {"do_sample": True, "temperature": 1.0, "top_p": TOP_P, "top_k": 0}

    def write(prompts: np.ndarray, new: int, mode: str) -> np.ndarray:
        how: dict[str, Any] = {"do_sample": False} if mode == "greedy" else drawn
        tokens = torch.tensor(prompts)
        with torch.inference_mode():
            found = model.generate(
                tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=new, **how
            )
        return found[:, tokens.shape[1] :].numpy()

    return write
