"""The parts of `python -m benchmarks lm`: what a language model costs, here and with transformers.

Each part has `measure(...)`, which yields its record, more of it each time, and `table(record)`,
its lines on the screen. Importing this package imports none of the frameworks.
"""
