#!/usr/bin/python3
"""Cuts credit-g.arff (1,000 German loans) into five uneven banks.

usage: prepare.py FOLDER     (FOLDER holds credit-g.arff, see README.md for its source)

The data knows nothing of banks: the cut is ours. Four banks are drawn at random in the ratio
40 : 25 : 15 : 10. The fifth is new: of its 100 loans only 32 have run to their end, and only 4 of
those went bad; the other 68, with the usual share of bad ones, are its test part.
"""

import csv
import os
import random
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import split  # noqa: E402

SIZES = {"bank-a": 400, "bank-b": 250, "bank-c": 150, "bank-d": 100}
NEW_BANK = {"name": "bank-e", "train_bad": 4, "train_good": 28, "test_bad": 20, "test_good": 48}
TEST_SHARE = 0.3
SEED = 45


def read_arff(path):
    """Attribute names and records of an ARFF file; values lose their single quotes."""
    names, records, in_data = [], [], False
    with open(path, encoding="ascii", errors="replace") as source:
        for line in map(str.strip, source):
            attribute = re.match(r"@attribute\s+(\S+)", line, re.I)
            if attribute:
                names.append(attribute[1])
            elif line.lower().startswith("@data"):
                in_data = True
            elif in_data and line and not line.startswith("%"):
                fields = next(csv.reader([line], quotechar="'", skipinitialspace=True))
                records.append([field.strip() for field in fields])
    return names, records


def main(folder):
    header, records = read_arff(os.path.join(folder, "credit-g.arff"))
    chooser = random.Random(SEED)
    bad = [r for r in records if r[-1] == "bad"]
    good = [r for r in records if r[-1] == "good"]
    chooser.shuffle(bad)
    chooser.shuffle(good)

    new = NEW_BANK
    n_bad, n_good = new["train_bad"] + new["test_bad"], new["train_good"] + new["test_good"]
    own = bad[:new["train_bad"]] + good[:new["train_good"]]
    n_train = len(own)
    own += bad[new["train_bad"]:n_bad] + good[new["train_good"]:n_good]
    base = os.path.join(HERE, "data", new["name"])
    split.write_csv(base + ".csv", header, own)
    split.write_rows(base + "-train.txt", range(n_train))
    split.write_rows(base + "-test.txt", range(n_train, len(own)))
    print(f"{new['name']}: {n_train} train, {len(own) - n_train} test")

    rest = bad[n_bad:] + good[n_good:]
    chooser.shuffle(rest)
    for site, n in SIZES.items():
        own, rest = rest[:n], rest[n:]
        counts = split.write_site(HERE, site, header, own, len(header) - 1, TEST_SHARE, SEED)
        print(f"{site}: {counts[0]} train, {counts[1]} test")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
