"""Numbers as a person reads them: with three places, and the prefix of a unit.

si(989.5e12) + "FLOP/s"            # "990 TFLOP/s"
as_bytes(5 * 2**20)                # "5.0 MiB"
"""

from __future__ import annotations

_PREFIXES = ("", "K", "M", "G", "T", "P", "E")
_SMALL = ("", "m", "µ", "n")


def si(number: float) -> str:
    """A number with three places and the prefix of a unit behind it.

    >>> si(989.5e12), si(1_234), si(12), si(0.0314), si(0)
    ('990 T', '1.23 K', '12 ', '31.4 m', '0 ')
    """
    power = 0
    while number >= 999.5 and power < len(_PREFIXES) - 1:
        number, power = number / 1000, power + 1
    while 0 < number < 0.9995 and power > 1 - len(_SMALL):
        number, power = number * 1000, power - 1
    prefix = _PREFIXES[power] if power >= 0 else _SMALL[-power]
    return f"{number:.3g} {prefix}"


def as_bytes(size: float) -> str:
    """Bytes as MiB, from 1024 of those on as GiB, and below a tenth of one as KiB or as they are.

    >>> as_bytes(2**31), as_bytes(5 * 2**20), as_bytes(2048), as_bytes(12)
    ('2.00 GiB', '5.0 MiB', '2.0 KiB', '12 B')
    """
    if size < 2**20 / 20:
        return f"{size:,.0f} B" if size < 2**10 else f"{size / 2**10:,.1f} KiB"
    return f"{size / 2**20:,.1f} MiB" if size < 2**30 else f"{size / 2**30:,.2f} GiB"
