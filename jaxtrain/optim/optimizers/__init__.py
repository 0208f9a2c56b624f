"""Optimizers by name, a file a family; `jaxtrain.optim` has all of them."""
