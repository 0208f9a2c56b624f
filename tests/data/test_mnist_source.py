import gzip
import shutil
import struct

import numpy as np
import pytest

from jaxtrain.data import check_dataset, fashion_mnist, mnist
from jaxtrain.errors import DataError, DataNotFoundError

NAMES = {
    "train-images-idx3-ubyte": (50, 28, 28),
    "train-labels-idx1-ubyte": (50,),
    "t10k-images-idx3-ubyte": (20, 28, 28),
    "t10k-labels-idx1-ubyte": (20,),
}


@pytest.fixture
def root(tmp_path):
    """A small set of random images, half of the files gzipped."""
    generator = np.random.default_rng(0)
    for name, shape in NAMES.items():
        top = 10 if len(shape) == 1 else 256
        values = generator.integers(0, top, shape).astype(np.uint8)
        header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
        content = header + values.tobytes()
        if "images" in name:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content, 1))
        else:
            (tmp_path / name).write_bytes(content)
    return tmp_path


def test_shapes_and_sizes(root):
    splits = mnist(0.2, 0, root=str(root))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [40, 10, 20]
    assert splits.train.inputs.shape == (40, 784)
    assert splits.train.inputs.dtype == np.float32
    images = mnist(0.2, 0, root=str(root), flat=False)
    assert images.train.inputs.shape == (40, 28, 28, 1)
    assert (images.test.inputs.reshape(20, -1) == splits.test.inputs).all()
    assert mnist(0.0, 0, root=str(root)).validation is None


def test_statistics_come_from_the_training_rows_alone(root):
    raw = mnist(0.2, 0, root=str(root), normalize=False)
    splits = mnist(0.2, 0, root=str(root))
    mean, deviation = raw.train.inputs.mean(dtype=float), raw.train.inputs.std(dtype=float)
    for before, after in ((raw.train, splits.train), (raw.validation, splits.validation)):
        assert np.allclose((before.inputs - mean) / deviation, after.inputs, atol=1e-5)
    assert abs(splits.train.inputs.mean()) < 1e-5
    assert abs(splits.validation.inputs.mean()) > 1e-5


def test_without_normalising_pixels_are_from_0_to_1(root):
    inputs = mnist(0.0, 0, root=str(root), normalize=False).train.inputs
    assert (inputs.min(), inputs.max()) == (0, 1)


def test_a_missing_file_says_what_to_do(root):
    (root / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataNotFoundError) as caught:
        mnist(0.1, 0, root=str(root))
    assert f"{root}/t10k-labels-idx1-ubyte" in str(caught.value)
    assert "t10k-labels-idx1-ubyte.gz" in str(caught.value)
    assert "download=true" in str(caught.value)


def test_a_truncated_file(root):
    path = root / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataError, match=r"expected 50 bytes .* found 43"):
        mnist(0.1, 0, root=str(root))


def test_missing_files_are_fetched_from_the_mirror(serving, shared_data, tmp_path):
    source = shared_data / "mnist"
    names = [path.name for path in source.glob("*.gz")]
    for name in names:
        if "t10k" not in name:
            shutil.copy(source / name, tmp_path)

    def answer(path):
        return 200, (source / path.removeprefix("/mnist/")).read_bytes(), {}

    with serving(answer) as server:
        splits = mnist(
            0.1, 0, root=str(tmp_path), download=True, mirror=f"{server.url}/mnist/", flat=False
        )
    assert sorted(server.paths) == [
        "/mnist/t10k-images-idx3-ubyte.gz",
        "/mnist/t10k-labels-idx1-ubyte.gz",
    ]
    assert len(splits.test) == 10_000
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize("source", [mnist, fashion_mnist])
def test_the_real_files(shared_data, source):
    splits = source(0.1, 0, root=str(shared_data / source.__name__))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [
        54_000,
        6_000,
        10_000,
    ]
    assert all(finding.ok for finding in check_dataset(splits.train))
    inputs = splits.train.inputs
    assert (abs(inputs.mean(dtype=float)) < 1e-6, abs(inputs.std(dtype=float) - 1) < 1e-6) == (
        True,
        True,
    )


def test_the_real_statistics(shared_data):
    # Known figures of all 60,000 images: mean 0.1307, deviation 0.3081.
    splits = mnist(0.0, 0, root=str(shared_data / "mnist"))
    low, high = splits.train.inputs.min(), splits.train.inputs.max()
    assert low == pytest.approx(-0.1307 / 0.3081, abs=1e-3)
    assert high == pytest.approx((1 - 0.1307) / 0.3081, abs=1e-3)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(splits.train.labels).tolist() == counts


@pytest.mark.parametrize("size", [(28, 29), (27, 28), (14, 56)])
def test_test_images_of_another_size_are_refused(root, size):
    """Finding C17: the whole training ran, then a traceback."""
    name = "t10k-images-idx3-ubyte"
    (root / f"{name}.gz").unlink()
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 20, *size)
    (root / name).write_bytes(header + bytes(20 * size[0] * size[1]))
    text = f"{name}: expected images of 28x28 pixels, as in .*train-images.*found "
    with pytest.raises(DataError, match=text + "x".join(map(str, size))):
        mnist(0.2, 0, root=str(root))
