"""Helpers of the prepare.py scripts: stratified row splits and plain CSV files.

Only Python's standard library. Everything is fixed by a seed written in the caller, so a second
run writes the same bytes.
"""

import csv
import os
import random


def stratified(labels, test_share, seed):
    """Returns (train, test): sorted zero-based row numbers, each class cut by `test_share`."""
    chooser = random.Random(seed)
    train, test = [], []
    for label in sorted(set(labels)):
        rows = [i for i, value in enumerate(labels) if value == label]
        chooser.shuffle(rows)
        n_test = round(len(rows) * test_share)
        test += rows[:n_test]
        train += rows[n_test:]
    return sorted(train), sorted(test)


def write_rows(path, rows):
    """Writes one zero-based data row number a line (the header line does not count)."""
    with open(path, "w", newline="\n") as out:
        out.writelines(f"{row}\n" for row in rows)


def write_csv(path, header, records):
    """Writes a CSV file with Unix line ends and quotes only where they are needed."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(records)


def write_site(folder, site, header, records, label_index, test_share, seed):
    """Writes data/SITE.csv, data/SITE-train.txt and data/SITE-test.txt; returns the counts."""
    base = os.path.join(folder, "data", site)
    train, test = stratified([r[label_index] for r in records], test_share, seed)
    write_csv(base + ".csv", header, records)
    write_rows(base + "-train.txt", train)
    write_rows(base + "-test.txt", test)
    return len(train), len(test)
