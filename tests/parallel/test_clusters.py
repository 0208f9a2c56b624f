"""What docs/clusters.md shows, as far as it can be checked without a cluster."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from jaxtrain.cli.launch import COMMAND
from jaxtrain.cli.words import parse_words
from jaxtrain.parallel import place_of
from jaxtrain.parallel.places import ADDRESS, COUNT, JOB_INDEX

PAGE = (Path(__file__).parents[2] / "docs/clusters.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SLURM, MPI = (text for kind, text in BLOCKS if kind == "bash")
(MANIFEST,) = (text for kind, text in BLOCKS if kind == "yaml")
LAUNCH = re.search(r"^    python -m jaxtrain\.main (launch .*)$", PAGE, re.MULTILINE)


def words_of(script):
    """The words behind `python -m jaxtrain.main` in a script of a shell."""
    words = shlex.split(script.replace("\\\n", " "), comments=True)
    at = words.index("jaxtrain.main")
    end = next((i for i, w in enumerate(words) if i > at and w.startswith("code=")), len(words))
    return words[at + 1 : end]


@pytest.mark.parametrize("script", [SLURM, MPI])
def test_the_scripts_are_a_shell_s_and_their_words_are_ours(script):
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    options, overrides = parse_words([w for w in words_of(script) if "llama_1b" not in w])
    assert options.command == "train"
    assert "mesh.fsdp=8" in overrides


def test_the_script_is_queued_again_where_it_may_go_on(tmp_path):
    for code, queued in ((0, False), (2, False), (75, True), (137, True)):
        done = subprocess.run(
            ["bash"],
            input=f"srun() {{ return {code}; }}\nscontrol() {{ echo again; }}\n{SLURM}",
            text=True,
            capture_output=True,
        )
        assert (done.returncode, "again" in done.stdout) == (code, queued), done.stderr


def test_the_manifest_says_who_its_pods_are():
    job_set = yaml.safe_load(MANIFEST)
    name, (job,) = job_set["metadata"]["name"], job_set["spec"]["replicatedJobs"]
    spec = job["template"]["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"]
    (container,) = spec["template"]["spec"]["containers"]
    environ = {each["name"]: each["value"] for each in container["env"]}
    assert environ[COUNT] == str(spec["parallelism"])
    host, port = environ[ADDRESS].split(":")
    # JobSet: a pod is <jobset>-<job>-<replica>-<index>, in the subdomain <jobset>.
    assert host == f"{name}-{job['name']}-0-0.{name}"
    assert container["ports"] == [{"containerPort": int(port)}]
    for index in range(spec["parallelism"]):
        place = place_of(None, {**environ, JOB_INDEX: str(index), "KUBERNETES_SERVICE_HOST": "a"})
        assert place is not None
        assert (place.processes, place.process) == (spec["parallelism"], index)
    words = [*container["command"], *container["args"]]
    assert words[:3] == ["python", "-m", "jaxtrain.main"]
    parse_words([w for w in words[3:] if "llama_1b" not in w])


def test_the_line_of_mpi_is_enough_for_either_of_its_versions():
    (address,) = re.findall(rf"-x {ADDRESS}=(\S+)", MPI)
    (count,) = re.findall(r"-n (\d+)", MPI)
    ranks = {
        "OMPI_COMM_WORLD_SIZE": count,
        "OMPI_COMM_WORLD_RANK": "9",
        "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    }
    place = place_of(None, {**ranks, ADDRESS: address})
    assert place is not None
    assert (place.coordinator, place.processes, place.process) == (address, int(count), 9)


def test_the_line_of_launch_is_ours():
    assert LAUNCH is not None
    options, overrides = parse_words(shlex.split(LAUNCH[1]))
    assert overrides == []
    assert (options.command, options.processes, options.restarts) == ("launch", 4, 3)
    assert COMMAND.hands_on
    inner, overrides = parse_words([w for w in options.rest if "llama_1b" not in w])
    assert (inner.command, overrides) == ("train", ["mesh.fsdp=4"])
