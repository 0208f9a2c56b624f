"""Whole runs, from the start of a process to a result: a script for each framework."""

from benchmarks.runs.settings import SETTINGS, Setting

__all__ = ["SETTINGS", "Setting"]
