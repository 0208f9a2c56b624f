"""The members of a sweep in one process, one after the other, as a user's own loop has them.

    python -m benchmarks.populations.one_by_one DIR

DIR has `members.json`: the config and, for each member, its overrides; it gets the runs, and
`figures.json`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from jaxtrain.run import Experiment, make_config


def main(place: Path) -> None:
    said = json.loads((place / "members.json").read_text())
    seconds = []
    for number, words in said["members"].items():
        began = time.perf_counter()
        Experiment.of(make_config(said["config"], words), place / number).train()
        seconds.append(time.perf_counter() - began)
    (place / "figures.json").write_text(json.dumps({"each": seconds}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
