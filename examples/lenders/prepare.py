#!/usr/bin/python3
"""Cuts lending_club.csv into four lenders, one for each US census region.

usage: prepare.py FOLDER     (FOLDER holds lending_club.csv, see README.md for its source)
"""

import csv
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import split  # noqa: E402

# The four regions of the United States Census Bureau.
REGIONS = {
    "northeast": "CT ME MA NH RI VT NJ NY PA",
    "midwest": "IL IN MI OH WI IA KS MN MO NE ND SD",
    "south": "DE FL GA MD NC SC VA DC WV AL KY MS TN AR LA OK TX",
    "west": "AZ CO ID MT NV NM UT WY AK CA HI OR WA",
}
TEST_SHARE = 0.3
SEED = 2016


def main(folder):
    with open(os.path.join(folder, "lending_club.csv"), newline="") as source:
        rows = list(csv.reader(source))
    header, records = rows[0], rows[1:]
    state, label = header.index("addr_state"), header.index("Class")
    placed = 0
    for site, states in REGIONS.items():
        own = [r for r in records if r[state] in states.split()]
        placed += len(own)
        counts = split.write_site(HERE, site, header, own, label, TEST_SHARE, SEED)
        print(f"{site}: {counts[0]} train, {counts[1]} test")
    if placed != len(records):
        sys.exit("a state is in no region")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
