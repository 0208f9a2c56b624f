import hashlib
import struct

import numpy as np

from jaxtrain.data import fingerprint


def test_fingerprint_sees_values_shape_dtype_and_name():
    arrays = {"inputs": np.zeros((2, 3), np.float32), "labels": np.zeros(2, np.int32)}
    variants = [
        arrays,
        arrays | {"labels": np.array([0, 1], np.int32)},
        arrays | {"inputs": np.zeros((3, 2), np.float32)},
        arrays | {"inputs": np.zeros((2, 3), np.int32)},
        {"inputs": arrays["inputs"], "targets": arrays["labels"]},
    ]
    assert len({fingerprint(variant) for variant in variants}) == len(variants)
    assert fingerprint(dict(reversed(arrays.items()))) == fingerprint(arrays)
    strided = np.zeros((2, 6), np.float32)[:, ::2]
    assert fingerprint(arrays | {"inputs": strided}) == fingerprint(arrays)


def test_it_never_changes():
    # Saved places carry it.
    by_hand = hashlib.sha256(b"x:<i4:(3,);" + struct.pack("<3i", 0, 1, 2))
    assert fingerprint({"x": np.arange(3, dtype=np.int32)}) == by_hand.hexdigest()
