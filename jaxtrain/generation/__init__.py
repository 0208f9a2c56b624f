"""Generation, and evaluation by likelihood: what a language model writes, and what it expects.

tokens = generate(params, config, [[1, 403], [1]], max_new_tokens=64, stop=[2])
log_likelihoods(model, variables, [([1, 403], [407]), ([1, 403], [5, 6])])
multiple_choice(model, variables, questions).raw.interval()
"""

from jaxtrain.generation.generator import Generator, generate
from jaxtrain.generation.likelihood import (
    TextLikelihood,
    log_likelihoods,
    text_likelihood,
    token_nlls,
)
from jaxtrain.generation.proportion import Proportion
from jaxtrain.generation.questions import (
    Answered,
    MultipleChoice,
    TokenQuestion,
    multiple_choice,
)
from jaxtrain.generation.sampling import Sampling
from jaxtrain.generation.text_stream import TextStream

__all__ = [
    "Answered",
    "Generator",
    "MultipleChoice",
    "Proportion",
    "Sampling",
    "TextLikelihood",
    "TextStream",
    "TokenQuestion",
    "generate",
    "log_likelihoods",
    "multiple_choice",
    "text_likelihood",
    "token_nlls",
]
