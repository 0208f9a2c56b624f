"""Processes that are none, so that what is asked of them can be seen, and is done at once."""

from __future__ import annotations

import pytest


class Here:
    """An `OwnProcess` that is this one."""

    def __init__(self, name, **options):
        self.name, self.options = name, options

    def call(self, function, *arguments, seconds=None):
        return function(*arguments)

    def make(self, factory, *arguments):
        self._kept = factory(*arguments)

    def ask(self, method, *arguments):
        return getattr(self._kept, method)(*arguments)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def here():
    """The class `Here`, to be put in the place of `OwnProcess`."""
    return Here


@pytest.fixture(autouse=True)
def _compiled_quickly(monkeypatch):
    """In real processes; what is compiled for a test runs a few times."""
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
