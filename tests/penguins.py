"""A table like those that people have: `python tests/penguins.py penguins.csv` writes it.

Made after the Palmer penguins (Horst, Hill and Gorman 2020): means and deviations by species are
about theirs, no row is one of them. It has what makes tables hard: a number of the sample, text
labels, missing values written as NA, a date, a thousands sign, a column that never changes, and one
row without a species.
"""

from __future__ import annotations

import csv
import datetime
import sys
from pathlib import Path

import numpy as np

# Rows; mean and deviation of bill length, depth, flipper length (mm), body mass (g); islands.
SPECIES = {
    "Adelie": (
        152,
        (38.8, 2.7),
        (18.3, 1.2),
        (190, 6.5),
        (3700, 460),
        ("Torgersen", "Biscoe", "Dream"),
    ),
    "Chinstrap": (68, (48.8, 3.3), (18.4, 1.1), (196, 7.1), (3730, 380), ("Dream",)),
    "Gentoo": (124, (47.5, 3.1), (15.0, 1.0), (217, 6.5), (5080, 500), ("Biscoe",)),
}
COLUMNS = (
    "sample",
    "species",
    "island",
    "bill_length_mm",
    "bill_depth_mm",
    "flipper_length_mm",
    "body_mass_g",
    "sex",
    "date_egg",
    "region",
)
WITHOUT_SPECIES = 100  # the place of that row


def penguins(seed: int = 0) -> list[list[str]]:
    """344 rows of text, in the order of `COLUMNS`."""
    draw = np.random.default_rng(seed)
    rows = []
    for species, (count, length, depth, flipper, mass, islands) in SPECIES.items():
        for _ in range(count):
            size, male = draw.normal(), draw.random() < 0.5
            shift = 0.5 * size + (0.4 if male else -0.4)
            measured = [
                mean + deviation * (0.75 * shift + 0.65 * draw.normal())
                for mean, deviation in (length, depth, flipper, mass)
            ]
            day = datetime.date(2007, 11, 1) + datetime.timedelta(int(draw.integers(0, 700)))
            rows.append(
                [
                    species,
                    str(draw.choice(islands)),
                    f"{measured[0]:.1f}",
                    f"{measured[1]:.1f}",
                    f"{measured[2]:.0f}",
                    f"{round(measured[3] / 25) * 25:,}",
                    "male" if male else "female",
                    day.isoformat(),
                    "Anvers",
                ]
            )
    rows = [rows[place] for place in draw.permutation(len(rows))]
    for place in draw.choice(len(rows), 11, replace=False):
        rows[place][6] = "NA"
    for column in range(2, 6):
        for place in draw.choice(len(rows), 2, replace=False):
            rows[place][column] = "NA"
    rows[WITHOUT_SPECIES][0] = "NA"
    return [[str(number), *row] for number, row in enumerate(rows, start=1)]


def write(
    path: Path, rows: list[list[str]] | None = None, *, without: tuple[str, ...] = ()
) -> None:
    """Write them to a file, but for the columns `without`."""
    kept = [place for place, name in enumerate(COLUMNS) if name not in without]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for row in [list(COLUMNS), *(penguins() if rows is None else rows)]:
            writer.writerow([row[place] for place in kept])


if __name__ == "__main__":
    write(Path(sys.argv[1]))
