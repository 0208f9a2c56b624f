"""placeholder"""


def print_table(rows, mode, top=10):
    for r in rows[:3]:
        print(r)
