"""Memory in huge pages, where the C library takes them on request.

    begin_anew_with_huge_pages()       # the same process, from its first word

XLA fetches what a step works with at each step and gives it back, some hundred megabytes at a time,
and the kernel hands it out in pages of 4 KB, each of them cleared first: 87 thousand of them in a
step of the encoder of `benchmarks/catalogue`, which takes 1.2 to 1.45 times as long for it. glibc
reads whether to ask for pages of 2 MB when a process begins, and only then.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "GLIBC_TUNABLES"
WITH_HUGE_PAGES = "glibc.malloc.hugetlb=1"

_KERNELS_CHOICE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_SINCE = (2, 35)


def begin_anew_with_huge_pages() -> None:
    """Run the same words in the same process again, with huge pages; nothing where they are not to
    be had on request, where somebody has set `GLIBC_TUNABLES`, or where a debugger looks on.
    """
    if sys.executable and sys.gettrace() is None and is_of_use(os.environ):
        environment = {**os.environ, VARIABLE: WITH_HUGE_PAGES}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def is_of_use(environment: Mapping[str, str]) -> bool:
    """Whether glibc would take huge pages only when asked, and is not told anything yet."""
    if VARIABLE in environment or "CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", {}):
        return False
    library, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    if library != "glibc" or tuple(map(int, version.split(".")[:2])) < _SINCE:
        return False
    return _KERNELS_CHOICE.exists() and "[madvise]" in _KERNELS_CHOICE.read_text()
