"""The training loops that `python -m benchmarks loop` compares, one file a framework.

    run = FRAMEWORKS["keras_50"].make(task)
    run(3)                        # trains for three epochs, and waits until they are over

Each file has `make(task, **options)`, which builds model, optimizer and data and returns `run`.
Importing this package imports none of the frameworks.
"""

from benchmarks.loops.frameworks import FRAMEWORKS, Framework, Run
from benchmarks.loops.tasks import TASKS, Task
from benchmarks.loops.worker import Worker

__all__ = ["FRAMEWORKS", "TASKS", "Framework", "Run", "Task", "Worker"]
