"""Learning-rate schedules by name, a file a family; `jaxtrain.optim` has all of them.

A step here is an update of the parameters: one a batch, whatever number of micro-batches
`train.accumulate` splits that into. All of them begin behind the warm-up, and count from there.
"""
