"""What the tests of models' files have: tiny models of transformers."""

from __future__ import annotations

from tests.models.hf.conftest import theirs

__all__ = ["theirs"]
