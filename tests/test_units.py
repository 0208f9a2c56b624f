"""Numbers as a person reads them."""

import pytest

from jaxtrain.units import as_bytes, si


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 "),
        (999.4, "999 "),
        (999.6, "1 K"),
        (989.5e12, "990 T"),
        (3e21, "3e+03 E"),
        (0.99951, "1 "),
        (0.25, "250 m"),
        (0.0314, "31.4 m"),
        (2.5e-6, "2.5 µ"),
        (4e-12, "0.004 n"),
    ],
)
def test_three_places_and_a_prefix(number, text):
    assert si(number) == text


def test_bytes():
    mib = 2**20
    assert [
        as_bytes(n)
        for n in (0, 1023, 2**10, 50 * 2**10, mib / 20, 5 * mib, 2**30 - mib, 2**30, 3 * 2**39)
    ] == [
        "0 B",
        "1,023 B",
        "1.0 KiB",
        "50.0 KiB",
        "0.1 MiB",
        "5.0 MiB",
        "1,023.0 MiB",
        "1.00 GiB",
        "1,536.00 GiB",
    ]
