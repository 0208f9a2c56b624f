"""Several threads at the blocks of one table; the results come in the blocks' order.

    for result in in_order(partial(work, block) for block in blocks):
        ...

No more is under way than the threads need, so that memory is bounded whoever is slow.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

_MOST = 8


def in_order(tasks: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """What the tasks return, in their order; an exception of one comes in its place."""
    threads = min(_MOST, cores())
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for task in tasks:
            waiting.append(pool.submit(task))
            if len(waiting) > threads + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
