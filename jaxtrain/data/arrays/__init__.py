"""Arrays in files: read without unpickling, recognised, the source, its reader.

splits = array_file(0.1, seed=0, file="mnist.npz", root="data")
"""

from jaxtrain.data.arrays.archive import ArrayFile
from jaxtrain.data.arrays.inspection import ArraysInspection, inspect_arrays
from jaxtrain.data.arrays.new_arrays import read_inputs
from jaxtrain.data.arrays.reader import ArraysReader, arrays_reader
from jaxtrain.data.arrays.source import array_file

__all__ = [
    "ArrayFile",
    "ArraysInspection",
    "ArraysReader",
    "array_file",
    "arrays_reader",
    "inspect_arrays",
    "read_inputs",
]
