"""Generation, and evaluation by likelihood: what a language model writes, and what it expects.

tokens = generate(params, config, [[1, 403], [1]], max_new_tokens=64, stop=[2])
"""

from jaxtrain.generation.generator import Generator, generate
from jaxtrain.generation.sampling import Sampling

__all__ = ["Generator", "Sampling", "generate"]
