"""The command line: words in, calls of `jaxtrain.run` out. `jaxtrain/main.py` is its door."""

__all__: list[str] = []  # a program, not a library: nothing to import from here
