"""Data: sources, loaders, and checks to run before training.

splits = jaxtrain.data.digits(validation_fraction=0.1, seed=0)
loader = jaxtrain.data.ArrayLoader(splits.train, batch_size=32, seed=0)
"""

from jaxtrain.data.ahead import Ahead
from jaxtrain.data.array_loader import ArrayLoader
from jaxtrain.data.arrays import (
    ArrayFile,
    ArraysInspection,
    ArraysReader,
    array_file,
    arrays_reader,
    inspect_arrays,
    read_inputs,
)
from jaxtrain.data.class_counts import class_counts
from jaxtrain.data.dataset import Dataset
from jaxtrain.data.dataset_checks import Finding, check_dataset
from jaxtrain.data.digits_source import digits
from jaxtrain.data.download import download_file
from jaxtrain.data.find_file import find_file, open_data
from jaxtrain.data.fingerprint import fingerprint
from jaxtrain.data.grain_loader import GrainLoader
from jaxtrain.data.idx import read_idx, read_labelled_images
from jaxtrain.data.images import (
    ImageReader,
    ImagesInspection,
    image_folder,
    image_reader,
    inspect_images,
)
from jaxtrain.data.loader import Cursor, IndexedLoader, Loader, one_epoch
from jaxtrain.data.members_loader import IndexedMembers, MembersLoader, members_loader
from jaxtrain.data.mixture_source import MixedRows, mixture
from jaxtrain.data.mnist_source import fashion_mnist, mnist
from jaxtrain.data.on_mesh import OnMesh, on_mesh
from jaxtrain.data.overlap import check_overlap, row_hashes, shared_rows
from jaxtrain.data.prefetch import PrefetchLoader, prefetch_to_device
from jaxtrain.data.reader import READERS, NewRows, Reader
from jaxtrain.data.records import Records
from jaxtrain.data.rows import LoaderRows, Rows, StreamedRows
from jaxtrain.data.shuffle import split_indices
from jaxtrain.data.sources import SOURCES
from jaxtrain.data.splits import Splits
from jaxtrain.data.tables import TableEncoder, TableReader, adult, csv_table
from jaxtrain.data.target_scale import TargetScale
from jaxtrain.data.text import (
    LabelledTextReader,
    LabelledTexts,
    Question,
    QuestionRows,
    TextReader,
    Tokenizer,
    TokenRows,
    facts,
    instruction_records,
    labelled_text,
    multiple_choice_records,
    read_tokenizer,
    text_files,
)

__all__ = [
    "READERS",
    "SOURCES",
    "Ahead",
    "ArrayFile",
    "ArrayLoader",
    "ArraysInspection",
    "ArraysReader",
    "Cursor",
    "Dataset",
    "Finding",
    "GrainLoader",
    "ImageReader",
    "ImagesInspection",
    "IndexedLoader",
    "IndexedMembers",
    "LabelledTextReader",
    "LabelledTexts",
    "Loader",
    "LoaderRows",
    "MembersLoader",
    "MixedRows",
    "NewRows",
    "OnMesh",
    "PrefetchLoader",
    "Question",
    "QuestionRows",
    "Reader",
    "Records",
    "Rows",
    "Splits",
    "StreamedRows",
    "TableEncoder",
    "TableReader",
    "TargetScale",
    "TextReader",
    "TokenRows",
    "Tokenizer",
    "adult",
    "array_file",
    "arrays_reader",
    "check_dataset",
    "check_overlap",
    "class_counts",
    "csv_table",
    "digits",
    "download_file",
    "facts",
    "fashion_mnist",
    "find_file",
    "fingerprint",
    "image_folder",
    "image_reader",
    "inspect_arrays",
    "inspect_images",
    "instruction_records",
    "labelled_text",
    "members_loader",
    "mixture",
    "mnist",
    "multiple_choice_records",
    "on_mesh",
    "one_epoch",
    "open_data",
    "prefetch_to_device",
    "read_idx",
    "read_inputs",
    "read_labelled_images",
    "read_tokenizer",
    "row_hashes",
    "shared_rows",
    "split_indices",
    "text_files",
]
