"""docs/retention.md is true: its code runs, and it names every figure and source."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from jaxtrain.retention import RetentionReport
from jaxtrain.retention.evidence import RESAMPLES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "retention.md").read_text()


def test_its_code_runs(tmp_path):
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^facts +forgotten", done.stdout, re.M)
    assert (tmp_path / "retention.png").stat().st_size > 5000


def test_it_names_what_the_report_has():
    for name in ("control_loss", "gains", "changes", "nll_changes"):
        assert f"`{name}`" in PAGE
        assert name in RetentionReport.__dataclass_fields__
    assert f"{RESAMPLES:,} times" in PAGE
    sources = "1706.08840 1801.10112 2310.06762 2410.21228 2307.05695 2401.04151 2405.09673"
    for source in [*sources.split(), "2310.14152"]:
        assert f"arXiv:{source}" in PAGE
