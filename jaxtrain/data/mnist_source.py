"""MNIST and Fashion-MNIST from their IDX files: 60,000 + 10,000 grey images of 28x28 pixels.

    splits = mnist(validation_fraction=0.1, seed=0, root="data/mnist", download=True)
    splits.train.inputs.shape                                # (54000, 784)

Axis letters: B images, H rows of pixels, W columns of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxtrain.data.dataset import Dataset
from jaxtrain.data.download import download_file
from jaxtrain.data.find_file import find_file
from jaxtrain.data.idx import read_labelled_images
from jaxtrain.data.shuffle import split_indices
from jaxtrain.data.sources import SOURCES
from jaxtrain.data.splits import Splits
from jaxtrain.errors import DataError, DataNotFoundError

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"


@dataclass(frozen=True, kw_only=True)
class _ImageSet:
    name: str
    mirror: str  # ends in a slash; each file is there as NAME.gz
    sha256: dict[str, str]  # of NAME.gz, by NAME
    label_names: tuple[str, ...]


MNIST = _ImageSet(
    name="mnist",
    mirror="https://ossci-datasets.s3.amazonaws.com/mnist/",
    sha256={
        TRAIN_IMAGES: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        TRAIN_LABELS: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        TEST_IMAGES: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        TEST_LABELS: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    label_names=tuple("0123456789"),
)
FASHION_MNIST = _ImageSet(
    name="fashion_mnist",
    mirror="https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    sha256={
        TRAIN_IMAGES: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        TRAIN_LABELS: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        TEST_IMAGES: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        TEST_LABELS: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    label_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)


@SOURCES.register("mnist")
def mnist(
    validation_fraction: float,
    seed: int,
    *,
    root: str = "data/mnist",
    download: bool = False,
    mirror: str | None = None,
    normalize: bool = True,
    flat: bool = True,
) -> Splits:
    """Handwritten digits, in the four IDX files under `root`, each plain or `.gz`.

    Args:
        validation_fraction: the share of the training images to hold out for validation.
        seed: draws the validation images.
        root: the directory of the files; relative to the working directory.
        download: fetch the files that are missing.
        mirror: the address of a directory to fetch them from instead of the usual one.
        normalize: subtract the mean and divide by the standard deviation of all training pixels;
            without it, pixels are scaled to [0, 1].
        flat: inputs `[B, H*W]` if true, `[B, H, W, 1]` if not.

    Raises:
        DataNotFoundError: a file is missing, and was not to be, or could not be, downloaded.
        DataError: a file is broken, or the test images have another size than those of training.
    """
    return _load(
        MNIST, validation_fraction, seed, root, download, mirror, normalize=normalize, flat=flat
    )


@SOURCES.register("fashion_mnist")
def fashion_mnist(
    validation_fraction: float,
    seed: int,
    *,
    root: str = "data/fashion_mnist",
    download: bool = False,
    mirror: str | None = None,
    normalize: bool = True,
    flat: bool = True,
) -> Splits:
    """Articles of clothing, in the four IDX files under `root`, as of MNIST, each plain or `.gz`.

    Args:
        validation_fraction: the share of the training images to hold out for validation.
        seed: draws the validation images.
        root: the directory of the files; relative to the working directory.
        download: fetch the files that are missing.
        mirror: the address of a directory to fetch them from instead of the usual one.
        normalize: subtract the mean and divide by the standard deviation of all training pixels;
            without it, pixels are scaled to [0, 1].
        flat: inputs `[B, H*W]` if true, `[B, H, W, 1]` if not.

    Raises:
        DataNotFoundError, DataError: as `mnist`.
    """
    return _load(
        FASHION_MNIST,
        validation_fraction,
        seed,
        root,
        download,
        mirror,
        normalize=normalize,
        flat=flat,
    )


def _load(
    image_set: _ImageSet,
    validation_fraction: float,
    seed: int,
    root: str,
    download: bool,
    mirror: str | None,
    *,
    normalize: bool,
    flat: bool,
) -> Splits:
    names = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    paths = {name: _obtain(image_set, name, root, download, mirror) for name in names}
    classes = len(image_set.label_names)
    pixels, labels = read_labelled_images(
        paths[TRAIN_IMAGES], paths[TRAIN_LABELS], num_classes=classes
    )
    test_pixels, test_labels = read_labelled_images(
        paths[TEST_IMAGES], paths[TEST_LABELS], num_classes=classes
    )
    if pixels.shape[1:] != test_pixels.shape[1:]:
        wanted, found = ("x".join(map(str, each.shape[1:])) for each in (pixels, test_pixels))
        raise DataError(
            f"{paths[TEST_IMAGES]}: expected images of {wanted} pixels, as in "
            f"{paths[TRAIN_IMAGES]}, found {found}"
        )
    # Split while a pixel is one byte: as float32 the same rows are four times the copy.
    kept, held_out = split_indices(len(labels), validation_fraction, seed)
    train_pixels = pixels[kept] if len(held_out) else pixels
    mean, deviation = _moments(train_pixels) if normalize else (0.0, 255.0)

    def dataset(pixels: np.ndarray, labels: np.ndarray) -> Dataset:
        inputs = _scaled(pixels, mean, deviation)
        return Dataset(
            inputs.reshape(len(inputs), -1) if flat else inputs[..., np.newaxis],
            labels.astype(np.int32),
            name=image_set.name,
            num_outputs=classes,
            label_names=image_set.label_names,
            image_shape=pixels.shape[1:],
        )

    return Splits(
        train=dataset(train_pixels, labels[kept]),
        validation=dataset(pixels[held_out], labels[held_out]) if len(held_out) else None,
        test=dataset(test_pixels, test_labels),
    )


def _obtain(image_set: _ImageSet, name: str, root: str, download: bool, mirror: str | None) -> Path:
    try:
        return find_file(
            root,
            name,
            remedy="set root to its directory, or download=true to fetch it",
        )
    except DataNotFoundError:
        if not download:
            raise
    source = (mirror or image_set.mirror).rstrip("/")
    path = Path(root).expanduser() / f"{name}.gz"
    download_file(f"{source}/{name}.gz", path, sha256=image_set.sha256[name])
    return path


def _moments(pixels: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of all pixels, on the scale of the bytes.

    In integers, so that they are exact and the same on every machine.
    """
    values = pixels.reshape(-1)
    total = int(values.sum(dtype=np.int64))
    squares = int(np.einsum("i,i->", values, values, dtype=np.int64, casting="safe"))
    mean = total / values.size
    variance = squares / values.size - mean * mean
    return mean, float(np.sqrt(variance)) or 1.0


def _scaled(pixels: np.ndarray, mean: float, deviation: float) -> np.ndarray:
    """`(pixels - mean) / deviation` in float32, without a second array of that size."""
    scaled = pixels.astype(np.float32)
    scaled -= np.float32(mean)
    scaled *= np.float32(1 / deviation)
    return scaled
