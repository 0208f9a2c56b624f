"""Images in folders: what is there, how a file is decoded, the source, its reader.

splits = image_folder(0.1, seed=0, root="data/birds", size=(64, 64))
"""

from jaxtrain.data.images.inspection import ImagesInspection, inspect_images
from jaxtrain.data.images.reader import ImageReader, image_reader
from jaxtrain.data.images.source import image_folder

__all__ = ["ImageReader", "ImagesInspection", "image_folder", "image_reader", "inspect_images"]
