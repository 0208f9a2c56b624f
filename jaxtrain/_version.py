"""The one place where the version is written; pyproject.toml and the package read it here."""

__version__ = "0.1.0"
