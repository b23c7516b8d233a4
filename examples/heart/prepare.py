#!/usr/bin/python3
"""Writes the row lists of FLamby's split, one pair of files for each hospital.

usage: prepare.py FOLDER     (FOLDER holds flamby_split.csv: hospital,row,part)

A row is a zero-based line of the hospital's raw file. Rows that FLamby drops, because one of
the columns it uses is missing there, are in neither list.
"""

import csv
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import split  # noqa: E402


def main(folder):
    rows = {}
    with open(os.path.join(folder, "flamby_split.csv"), newline="") as source:
        for line in csv.DictReader(source):
            rows.setdefault((line["hospital"], line["part"]), []).append(int(line["row"]))
    os.makedirs(os.path.join(HERE, "rows"), exist_ok=True)
    for (hospital, part), numbers in sorted(rows.items()):
        split.write_rows(os.path.join(HERE, "rows", f"{hospital}-{part}.txt"), sorted(numbers))
        print(f"{hospital}: {len(numbers)} {part}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
