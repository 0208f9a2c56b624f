"""Text: tokenizers, documents in files, packed rows of tokens, the sources, their reader.

splits = text_files(0.1, seed=0, path="input.txt", tokenizer="characters")
splits.reader.tokenizer.decode(splits.train.arrays["inputs"][0])
"""

from jaxtrain.data.text.facts_source import facts
from jaxtrain.data.text.instructions_source import instruction_records
from jaxtrain.data.text.labelled_text_reader import LabelledTextReader, labelled_text_reader
from jaxtrain.data.text.labelled_text_source import LabelledTexts, labelled_text
from jaxtrain.data.text.multiple_choice_source import QuestionRows, multiple_choice_records
from jaxtrain.data.text.packing import Packing
from jaxtrain.data.text.question import Question
from jaxtrain.data.text.text_reader import TextReader, text_reader
from jaxtrain.data.text.text_source import text_files
from jaxtrain.data.text.token_rows import TokenRows
from jaxtrain.data.text.tokenizer import Tokenizer
from jaxtrain.data.text.tokenizers import read_tokenizer

__all__ = [
    "LabelledTextReader",
    "LabelledTexts",
    "Packing",
    "Question",
    "QuestionRows",
    "TextReader",
    "TokenRows",
    "Tokenizer",
    "facts",
    "instruction_records",
    "labelled_text",
    "labelled_text_reader",
    "multiple_choice_records",
    "read_tokenizer",
    "text_files",
    "text_reader",
]
