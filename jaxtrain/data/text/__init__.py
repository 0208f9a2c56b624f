"""Text: tokenizers, documents in files, packed rows of tokens, the sources.

tokenizer = read_tokenizer("tokenizer.json", root="data/stories")
"""

from jaxtrain.data.text.tokenizer import Tokenizer
from jaxtrain.data.text.tokenizers import read_tokenizer

__all__ = ["Tokenizer", "read_tokenizer"]
