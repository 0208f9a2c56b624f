"""One of several processes as a scheduler starts it: its variables are set, and nothing else is.

main(port, number, count, "slurm")           # as `tests/processes.py` has it called
"""

from __future__ import annotations

import os
import signal
import sys

import jax
import numpy as np

from jaxtrain.parallel import batch_sharding, finish, is_first, make_mesh, several, start


def variables(scheduler: str, port: str, number: str, count: str) -> dict[str, str]:
    """What a scheduler sets for a process, all of them on this machine."""
    if scheduler == "slurm":
        # The port is made of the number of the job: 61440 + job % 4096.
        return {
            "SLURM_JOB_ID": str(int(port) % 4096),
            "SLURM_STEP_NODELIST": "localhost",
            "SLURM_NTASKS": count,
            "SLURM_PROCID": number,
            "SLURM_LOCALID": number,
        }
    ranks = {
        "OMPI_COMM_WORLD_SIZE": count,
        "OMPI_COMM_WORLD_RANK": number,
        "OMPI_COMM_WORLD_LOCAL_RANK": number,
    }
    if scheduler == "mpi4":
        job = int(port) % 4096 * 4096
        return {**ranks, "OMPI_MCA_orte_hnp_uri": f"{job}.0;tcp://127.0.0.1,10.0.0.1:34911"}
    if scheduler == "mpi5":
        return {**ranks, "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}"}
    assert scheduler == "job"
    return {
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "JOB_COMPLETION_INDEX": number,
        "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
        "JAX_NUM_PROCESSES": count,
    }


def main(port: str, number: str, count: str, scheduler: str) -> int:
    os.environ.update(variables(scheduler, port, number, count))
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    assert start()
    signal.raise_signal(signal.SIGTERM)  # JAX would take it for itself
    assert heard == [signal.SIGTERM]
    assert start()  # again: it is begun
    assert several()
    assert is_first() == (number == "0")
    where = batch_sharding(make_mesh())
    mine = np.full((1, 3), int(number) + 1, np.float32)
    rows = jax.make_array_from_process_local_data(where, mine, (int(count), 3))
    total = float(jax.jit(lambda x: x.sum())(rows))
    print(f"{jax.process_index()} of {jax.process_count()}: {total:g}")
    return finish()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
