"""Many runs of a config: as one sweep, one by one, and with the peers; and which search finds more.

Scripts of the peers run in processes without JAX, so nothing here imports it.
"""
