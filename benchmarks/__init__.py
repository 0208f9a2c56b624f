"""Measurements of jaxtrain and its peers; `python -m benchmarks NAME` runs one of them."""
