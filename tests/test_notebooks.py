"""The notebooks: each runs in a fresh kernel and comes to what it says; what is committed is small.

To execute one anew after a change, and keep what it puts out:

    jupyter execute --inplace notebooks/walkthrough.ipynb
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = ["lora", "population", "walkthrough"]
BYTES = 400_000
LINES = 24

BEGIN = r"""
import logging, warnings
warnings.filterwarnings("error", module=r"jaxtrain(\.|$)")
_told = []
class _Listening(logging.Handler):
    def emit(self, record):
        _told.append(record.getMessage())
logging.getLogger("jaxtrain").addHandler(_Listening(logging.WARNING))
"""
"""Run before the first cell: a warning by jaxtrain is an error, one that it logs is kept."""


def committed(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


class Executed:
    """A notebook that has run, and what its kernel was left with."""

    def __init__(self, name, place):
        self.notebook = committed(name)
        self._client = nbclient.NotebookClient(
            self.notebook, timeout=300, resources={"metadata": {"path": str(place)}}
        )

    def kernel(self):
        """A context with a kernel, in which the other methods work."""
        return self._client.setup_kernel()

    def run(self):
        """The cells, one after the other, behind our own."""
        self.notebook.cells.insert(0, nbformat.v4.new_code_cell(BEGIN))
        for number, cell in enumerate(self.notebook.cells):
            self._client.execute_cell(cell, number)

    def value(self, expression):
        """What an expression is worth in the kernel, as far as JSON can say it."""
        source = f"import json; print('\\n' + json.dumps({expression}, default=float))"
        cell = nbformat.v4.new_code_cell(source)
        self.notebook.cells.append(cell)
        self._client.execute_cell(cell, len(self.notebook.cells) - 1)
        # What is printed may come in pieces, the last of them the end of the line alone.
        said = "".join(one.text for one in cell.outputs if one.get("name") == "stdout")
        return json.loads(said.rstrip().splitlines()[-1])


@pytest.fixture(scope="module", params=NAMES)
def executed(request, tmp_path_factory):
    """Each notebook in turn, run once for all tests; `executed.name` says which."""
    name = request.param
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(ROOT))
        patched.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        one = Executed(name, tmp_path_factory.mktemp(name))
        with one.kernel():
            one.run()
            one.name = name
            yield one


RESULTS = {
    "walkthrough": {
        "difference < 1e-6": True,
        "largest_difference(mine.params, state.params) > 0.01": True,
        "(stopped.state.iteration, resumed.state.iteration)": [130, 246],
        "same_bytes": True,
        "resumed_history.epochs == history.epochs": True,
        "record.status": "completed",
        "record.series('val/loss')[0]": [41, 82, 123, 164, 205, 246],
        "[row['step'] for row in record.media]": [41, 82, 123, 164, 205, 246],
        "float(tested.metrics['accuracy']) > 0.9": True,
        "bool((mistakes[:, 1] != mistakes[:, 2]).all() and len(mistakes))": True,
        "figures['accuracy'] == report['test_accuracy'] > 0.93": True,
        "own_report['test_accuracy'] > 0.93": True,
    },
    "lora": {
        "no_bit_changed": True,
        "base_untouched": True,
        "same_bits(adapter, fresh)": False,
        "merge_error < 1e-3": True,
        "same_bits(merged, params)": False,
        "unmerged_exactly": True,
        "round_trip": True,
        "nats['base', 'owl'] < 1 < 2 < nats['base', 'jabberwocky']": True,
        "nats['merged', 'jabberwocky'] < 1 < 1.5 < nats['merged', 'owl']": True,
        "report.verdicts()": {"quarter": "forgotten", "upright": "forgotten"},
        "min(c.value for c in replayed.changes.values()) > -0.2": True,
        "replayed.average_accuracy.low > report.average_accuracy.high": True,
    },
    "population": {
        "list(losses.shape)": [10, 16],
        "[list(array.shape) for array in figures.values()]": [[16], [16]],
        "0 < best < 15 and bool(figures['accuracy'][best] > 0.9)": True,
        "bool(figures['accuracy'][0] < 0.5)": True,
        "max(step_apart.values()) < 1e-5": True,
        "max(loss_apart.values()) < 0.01": True,
        "len(loss_apart) >= 2 and all(taken > 0 for taken in ratio.values())": True,
    },
}
"""What stands in the namespace of each in the end."""

SAID = {
    "walkthrough": [
        "model.hiden: unknown key; did you mean 'hidden'?",
        "41 batches; rows that count in the last: 13",
        "stopped in epoch 4, at step 130",
        "goes on from step 125",
        "the same bytes: True",
        "completed · 8 epochs",
    ],
    "lora": [
        "no bit changed: True",
        "the base is what it was: True",
        "by subtraction: False",
        "by unmerge: True",
        "the same bits: True",
    ],
    "population": [
        "(10, 16) epochs and members",
        "one step is the same, within 1e-5: True",
        "losses after ten epochs agree within 1%: True",
    ],
}
"""What each says on its way, in this order: here, and where its committed outputs were made."""


def in_order(notebook):
    """All that was printed."""
    return "".join(output.get("text", "") for output in outputs(notebook))


def says(notebook, lines):
    return re.search(".*".join(map(re.escape, lines)), in_order(notebook), re.S) is not None


def test_these_are_all_of_them():
    assert [path.stem for path in NOTEBOOKS] == NAMES == sorted(RESULTS)


@pytest.mark.slow
def test_it_comes_to_what_it_says(executed):
    found = {expression: executed.value(expression) for expression in RESULTS[executed.name]}
    assert found == RESULTS[executed.name]


@pytest.mark.slow
def test_it_says_so(executed):
    assert says(executed.notebook, SAID[executed.name])


@pytest.mark.parametrize("name", NAMES)
def test_it_said_so_where_it_was_committed(name):
    assert says(committed(name), SAID[name])


@pytest.mark.slow
def test_jaxtrain_warns_of_nothing(executed):
    assert executed.value("_told") == []


@pytest.mark.slow
def test_it_leaves_nothing_where_it_is_run(executed):
    assert executed.value("__import__('os').listdir('.')") == []


@pytest.mark.parametrize("name", NAMES)
def test_it_was_executed_once_from_the_top(name):
    cells = [cell for cell in committed(name).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert outputs(committed(name)) != []


@pytest.mark.parametrize("name", NAMES)
def test_what_is_committed_is_small_and_whole(name):
    path = ROOT / "notebooks" / f"{name}.ipynb"
    assert path.stat().st_size < BYTES
    nbformat.validate(committed(name))
    for output in outputs(committed(name)):
        assert output.output_type != "error"
        assert output.get("name") != "stderr", output.text


PLACES = re.compile(r"(?<![\w.:/])/(?:tmp|home|root|work|var|usr|opt|Users|private)/|\b[A-Z]:\\\\")


def test_a_place_is_known_by_its_beginning():
    for said in ('"/tmp/tmpab12/runs"', "PosixPath('/home/anna/x')", r"C:\\Users"):
        assert PLACES.search(said), said
    for said in ("image/png", "https://example.org/home/x", "runs/tmp/a", "a/var/b"):
        assert not PLACES.search(said), said


@pytest.mark.parametrize("name", NAMES)
def test_nothing_committed_names_a_place_on_somebodys_machine(name):
    for output in outputs(committed(name)):
        for kind, said in output.get("data", {"text/plain": output.get("text", "")}).items():
            if kind != "image/png":
                assert not PLACES.search(said), said[:200]


@pytest.mark.parametrize("name", NAMES)
def test_no_cell_is_long(name):
    """What is longer belongs into two, with words between them."""
    for cell in committed(name).cells:
        assert len(cell.source.splitlines()) <= LINES, cell.source


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    for cell in committed(name).cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\((?!http)([^)#]+)", cell.source):
                assert (ROOT / "notebooks" / target).exists(), target


def test_ruff_reads_the_code():
    """`ruff check` looks at notebooks by itself; nothing here may tell it to pass them over."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    assert settings["lint"]["per-file-ignores"]["notebooks/**"] == ["D101", "D102", "D103"]
    assert not {"exclude", "extend-exclude", "include"} & settings.keys()
    ruff = shutil.which("ruff", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if ruff is None:
        pytest.skip("ruff is in the extra dev")
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run([ruff, *words, "notebooks"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
