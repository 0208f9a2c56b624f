"""Faults 25 and 27: files and names made by somebody who means harm. (26 is in tests/config.)"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import re
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

import jaxtrain
from jaxtrain.checkpoint.manifest import write_manifest

MEBIBYTE = 2**20
FORBIDDEN = re.compile(
    r"\b(pickle|cloudpickle|dill|marshal|shelve|joblib)\b|torch\.load|np\.load\(|"
    r"yaml\.(unsafe|full)_load|UnsafeLoader|FullLoader|(?<![\w.])(eval|exec)\("
)


class Bomb:
    """Unpickled, it makes a directory."""

    def __init__(self, path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def hostile(tmp_path):
    """Hostile contents by kind; no `sentinel` may be there after the test."""
    sentinel = tmp_path / "sentinel"
    pickled = pickle.dumps(Bomb(sentinel))
    array, archive = io.BytesIO(), io.BytesIO()
    np.save(array, np.array([Bomb(sentinel)], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(archive, "w") as file:  # what torch.save writes
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/version", "3\n")
    yield {"pickle": pickled, "npy": array.getvalue(), "pt": archive.getvalue()}
    assert not sentinel.exists()


KINDS = ["pickle", "npy", "pt"]


def test_fault_25_no_file_of_the_package_can_unpickle():
    """But for a config that is a Python file, which somebody names to have it executed."""
    found = {
        f"{path.name}: {match[0]}"
        for path in Path(jaxtrain.__file__).parent.rglob("*.py")
        for match in FORBIDDEN.finditer(path.read_text())
    }
    assert found == {"python_file.py: exec("}


@pytest.mark.slow
def test_fault_25_nothing_is_unpickled_in_a_whole_life(runs, tmp_path):
    """Training, resuming, evaluating, listing; by an audit hook of the interpreter."""
    inject = [["forbid_pickle", {}]]
    assert runs.run("run", [*inject, ["interrupt_at", {"iteration": 14}]]) == 75, runs.said("run")
    assert runs.run("run", inject) == 0, runs.said("run")
    for words in (["evaluate", "--checkpoint"], ["checkpoints"]):
        code, said = runs.command(*words, str(tmp_path / "run"), inject=inject)
        assert code == 0, said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".yaml", ".json", ".toml", ".sdn", ".pkl", ".pt", ".npy"])
def test_fault_25_as_a_config(runs, tmp_path, hostile, kind, suffix):
    path = tmp_path / f"config{suffix}"
    path.write_bytes(hostile[kind])
    code, said = runs.command("train", "--config", str(path), "--workdir", str(tmp_path / "run"))
    assert code == 2, said
    assert str(path.name) in said
    assert "Traceback" not in said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["mnist", "csv"])
def test_fault_25_as_data(runs, tmp_path, hostile, kind, name):
    data = tmp_path / "data"
    data.mkdir()
    names = [f"{part}-{what}" for part in ("train", "t10k") for what in ("images", "labels")]
    for file in ["train.csv", "test.csv", *names]:
        suffix = {"images": "-idx3-ubyte", "labels": "-idx1-ubyte"}.get(file[-6:], "")
        (data / f"{file}{suffix}").write_bytes(hostile[kind])
    section = {"name": name, "root": str(data)}
    if name == "csv":
        section |= {"train": "train.csv", "test": "test.csv", "target": "label"}
    (tmp_path / "config.json").write_text(json.dumps({"data": section}))
    words = ["train", "--config", str(tmp_path / "config.json"), "--workdir", str(tmp_path / "run")]
    code, said = runs.command(*words)
    assert code in (2, 3), said
    assert "error: " in said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_fault_25_as_any_file_of_a_checkpoint_with_good_digests(runs, tmp_path, hostile, kind):
    """Who can write the files can write the digests."""
    assert runs.run("good", [["interrupt_at", {"iteration": 5}]]) == 75
    good = tmp_path / "good/checkpoints" / runs.checkpoints("good")[-1]
    files = [p.relative_to(good) for p in good.rglob("*") if p.is_file()]
    for number, file in enumerate(sorted(files)):
        if file.name == "manifest.sha256":
            continue
        run = tmp_path / f"bad{number}"
        checkpoint = run / "checkpoints" / good.name
        shutil.copytree(tmp_path / "good", run)
        (checkpoint / file).write_bytes(hostile[kind])
        write_manifest(checkpoint)
        code, said = runs.command("evaluate", "--checkpoint", str(checkpoint))
        if code:  # some files are not needed for reading
            assert code in (2, 4), (file, said)
            assert "\ncheckpoint error: " in f"\n{said}"


def test_fault_25_a_checkpoint_that_claims_a_huge_array_takes_no_memory(runs, tmp_path):
    import tensorstore

    assert runs.run("run", [["interrupt_at", {"iteration": 5}]]) == 75
    checkpoint = tmp_path / "run/checkpoints" / runs.checkpoints("run")[-1]
    place = {"driver": "ocdbt", "base": f"file://{checkpoint}/arrays/"}
    keys = [key.decode() for key in tensorstore.KvStore.open(place).result().list().result()]
    kernel = next(k for k in keys if "params" in k and "kernel" in k and k.endswith("zarr.json"))
    tensorstore.open(
        {
            "driver": "zarr3",
            "kvstore": {**place, "path": kernel.removesuffix("zarr.json")},
            "create": True,
            "delete_existing": True,
            "dtype": "float32",
            "schema": {"domain": {"shape": [64, 2**36]}},
        }
    ).result()
    write_manifest(checkpoint)
    process = runs.start("run")
    assert process.wait() in (2, 4), process.said
    assert "kernel" in process.said
    assert process.peak < 1500 * MEBIBYTE


def bomb(content: bytes, times: int) -> bytes:
    """A gzip file that inflates to `content` and so many MiB of blanks."""
    return gzip.compress(content) + gzip.compress(b" " * 16 * MEBIBYTE) * (times // 16)


def test_fault_25_zip_bombs_as_data_take_bounded_memory(runs, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    header = struct.pack(">4I", 0x803, 100, 28, 28)
    (data / "train-images-idx3-ubyte.gz").write_bytes(bomb(header, 4096))
    labels = struct.pack(">2I", 0x801, 100) + bytes(100)
    (data / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"data": {"name": "mnist", "root": str(data)}}))
    process = runs.spawner.start(["train", "--config", str(config)], tmp_path / "log")
    assert process.wait() in (2, 3), process.said
    assert process.peak < 700 * MEBIBYTE


@pytest.mark.slow
def test_fault_25_a_bomb_of_a_table_is_left_at_a_gibibyte(runs, tmp_path):
    (tmp_path / "train.csv.gz").write_bytes(bomb(b"a,b,label\n", 4096))
    section = {"name": "csv", "root": str(tmp_path), "target": "label"}
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"data": section | {"train": "train.csv", "test": "train.csv"}}))
    process = runs.spawner.start(["train", "--config", str(config)], tmp_path / "log")
    assert process.wait() == 3, process.said
    assert "larger than" in process.said
    assert process.peak < 3 * 1024 * MEBIBYTE


def test_fault_25_a_huge_meta_is_not_parsed(runs, tmp_path):
    assert runs.run("run", [["interrupt_at", {"iteration": 5}]]) == 75
    for checkpoint in (tmp_path / "run/checkpoints").iterdir():
        meta = (checkpoint / "meta.json").read_bytes()
        (checkpoint / "meta.json").write_bytes(meta + b" " * 65 * MEBIBYTE)
        write_manifest(checkpoint)
    assert runs.run("run") == 4
    assert "meta.json: is not what it must be" in runs.said("run")


NAMES = [
    "../up",
    "/absolute",
    "%2e%2e",
    "a\\b",
    "a#b",
    "a?b",
    "a\0b",
    "",
    ".",
    "..",
    "a/b",
    "é",
    "x" * 65,
]


@pytest.mark.parametrize("name", NAMES)
def test_fault_27_a_project_can_not_leave_its_root(runs, tmp_path, name):
    before = tree(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"project": name}))
    code, said = runs.command("train", "--config", str(config))
    assert code == 2, said
    assert "project" in said
    assert tree(tmp_path) - before <= {"config.json", "command0.log"}


def test_fault_27_a_workdir_is_a_path(runs, tmp_path):
    code, said = runs.command(*runs.words(tmp_path / "a\0b"))
    assert code == 2, said
    assert "Traceback" not in said


def test_fault_27_links_in_a_run_directory_are_refused(runs, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("precious")
    assert runs.run("run", [["interrupt_at", {"iteration": 5}]]) == 75
    (tmp_path / "run/metrics.jsonl").unlink()
    (tmp_path / "run/metrics.jsonl").symlink_to(outside)
    assert runs.run("run") == 2
    assert "metrics.jsonl: is a symbolic link" in runs.said("run")
    assert outside.read_text() == "precious"


def test_fault_27_links_among_the_checkpoints_lead_nowhere(runs, whole, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    assert runs.run("run", [["interrupt_at", {"iteration": 5}]]) == 75
    checkpoints = tmp_path / "run/checkpoints"
    (checkpoints / "00000099").symlink_to(outside)
    (checkpoints / ".tmp-00000099").symlink_to(outside)
    (checkpoints / "00000006").symlink_to(outside / "nowhere")
    runs.finish("run", whole)
    assert tree(outside) == {"precious"}
    assert (outside / "precious").read_text() == "precious"


def tree(directory) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}
