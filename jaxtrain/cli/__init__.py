"""The command line: words in, calls of `jaxtrain.run` out. `jaxtrain/main.py` is its door."""
