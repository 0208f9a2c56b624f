"""`python -m benchmarks NAME [options]` runs `benchmarks/NAME.py`."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = {
    "elastic": "the same bits on any number of devices and processes, and what they cost",
    "efficiency": "data parallel by processes against one process on the same cores",
    "gpu": "all that is claimed for GPUs, on the one that is there, in ten minutes",
    "hosts": "two processes as one run: one is killed, or asked to stop, and what comes of it",
    "lm": "a language model: training and writing, here and with transformers; loss, attention",
    "lora": "adapters: a step here and with PEFT; merging; what phases forget, and protections",
    "logs": "what recording costs: logs, TensorBoard's events, pictures, beside a step",
    "loop": "steps a second: this engine, a loop written by hand, the peers",
    "models": "models of the catalogue: rows a second, here and with PyTorch",
    "plan": "what a plan predicts for devices that are not there, beside what is measured here",
    "meshes": "a run on eight devices, arranged in many ways, against the same run on one",
    "restore": "checkpoints of any mesh on any mesh: equal, seconds; memory of each process",
    "saves": "checkpoints: seconds a save takes, and how long it holds the training up",
    "updates": "AdamW on ten and a hundred million parameters, here, in optax and in PyTorch",
    "whole": "from the start of a process to an accuracy on MNIST, here and with peers",
    "sweep": "many runs of a config as one program, one by one, with peers; halving a search",
    "tables": "a large CSV file: seconds and memory to read it, here and with peers",
}


def main(argv: list[str]) -> int:
    if not argv or argv[0] not in BENCHMARKS:
        print("usage: python -m benchmarks NAME [options]    (NAME --help lists the options)")
        for name, what in BENCHMARKS.items():
            print(f"  {name:14}{what}")
        return 0 if argv[:1] in (["-h"], ["--help"]) else 2
    module = importlib.import_module(f"benchmarks.{argv[0]}")
    try:
        module.main(argv[1:])
    except KeyboardInterrupt:
        print("stopped", flush=True)  # what was kept until then stays
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
