"""Numbers and times for people, with units by their names.

figure(0.98611)                     # "0.9861"
figure_of("val/accuracy", 0.98611)  # "98.61 %"
duration(4021)                      # "1 h 7 min"
unit_of("host_memory_bytes", 3e9)   # Unit("GiB", 2**30)
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeGuard


class Unit(NamedTuple):
    """What a column is counted in.

    Attributes:
        name: as it stands on an axis; "" where there is none.
        size: how many of what is in the file are one of it.
    """

    name: str
    size: float = 1.0


_SUFFIXES = {
    "_percent": "%",
    "_seconds": "s",
    "_milliseconds": "ms",
    "_celsius": "°C",
    "_watts": "W",
    "_megahertz": "MHz",
    "_per_second": "per s",
    "_count": "",
}
_LARGE = 1e9
_BOUND = 1e300
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def figure(value: float | int | None) -> str:
    """Four significant digits, all of a whole number.

    >>> figure(0.98611), figure(26122), figure(3.1e-9), figure(None), figure(1234.56)
    ('0.9861', '26,122', '3.1e-09', '–', '1,235')
    """
    if value is None:
        return "–"
    if isinstance(value, int) or (abs(value) < _LARGE and value == int(value)):
        return f"{int(value):,}"
    return f"{value:,.0f}" if 1000 <= abs(value) < _LARGE else f"{value:.4g}"


def is_share(name: str) -> bool:
    """Whether it is told in percent: what is called an accuracy.

    >>> is_share("val/top5_accuracy"), is_share("val/loss")
    (True, False)
    """
    return "accuracy" in name.rpartition("/")[2].split("_")


def figure_of(name: str, value: float | int | None) -> str:
    """A figure, in the unit that its name says.

    >>> figure_of("val/accuracy", 0.98611), figure_of("best_epoch", 22)
    ('98.61 %', '22')
    """
    if value is None or not is_share(name):
        return figure(value)
    return f"{100 * value:.4g} %"


def duration(seconds: float) -> str:
    """Of two units the larger ones.

    >>> duration(0.25), duration(10.899), duration(130), duration(4021), duration(200000)
    ('0.25 s', '10.9 s', '2 min 10 s', '1 h 7 min', '2 d 7 h')
    """
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for large, small, size, part in (
        ("d", "h", 86400, 3600),
        ("h", "min", 3600, 60),
        ("min", "s", 60, 1),
    ):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {large}" + (f" {rest} {small}" if rest else "")
    raise AssertionError("a minute at least")


def size(count: float) -> str:
    """Bytes.

    >>> size(512), size(2_400_000)
    ('512 B', '2.3 MiB')
    """
    unit = unit_of("_bytes", count)
    return f"{count / unit.size:.{0 if unit.size == 1 else 1}f} {unit.name}"


def unit_of(name: str, largest: float = 0.0) -> Unit:
    """The unit of a column, by the end of its name.

    Args:
        name: such as "cpu_percent".
        largest: of its values; bytes are told in what fits it.

    >>> unit_of("cpu_percent"), unit_of("read_bytes", 5000.0), unit_of("threads")
    (Unit(name='%', size=1.0), Unit(name='KiB', size=1024), Unit(name='', size=1.0))
    """
    if name.endswith(("_bytes", "_bytes_per_second")):
        power = 0
        while abs(largest) >= 1024 ** (power + 1) and power + 1 < len(_BINARY):
            power += 1
        per = " per s" if name.endswith("_per_second") else ""
        return Unit(f"{_BINARY[power]}{per}", 1024**power if power else 1.0)
    found = (unit for suffix, unit in _SUFFIXES.items() if name.endswith(suffix))
    return Unit(next(found, ""))


def without_unit(name: str) -> str:
    """The name as it stands above a panel.

    >>> without_unit("host_memory_bytes"), without_unit("threads")
    ('host memory', 'threads')
    """
    for suffix in ("_bytes_per_second", "_bytes", *_SUFFIXES):
        if name.endswith(suffix) and len(name) > len(suffix):
            return name.removesuffix(suffix).replace("_", " ")
    return name.replace("_", " ")


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a number of JSON's that can be drawn; true and false are none, nor is 1e999.

    >>> is_number(3), is_number(True), is_number(float("inf")), is_number(10**400)
    (True, False, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _BOUND
