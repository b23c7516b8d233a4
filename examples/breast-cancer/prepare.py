#!/usr/bin/python3
"""Makes four sites out of two published breast cancer studies.

usage: prepare.py FOLDER     (FOLDER holds rotterdam.csv and gbsg.csv, see README.md)

The Rotterdam tumour bank is cut into three periods of surgery; the German Breast Cancer Study
Group is the fourth site. The label is an event (recurrence or death) within five years of
surgery; patients who were followed for less than five years without one are left out.
"""

import csv
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import split  # noqa: E402

FIVE_YEARS = 1826  # days
PERIODS = {"rotterdam-1978-1985": (1978, 1985), "rotterdam-1986-1989": (1986, 1989),
           "rotterdam-1990-1993": (1990, 1993)}
COVARIATES = ["age", "meno", "size", "grade", "nodes", "pgr", "er", "hormon"]
HEADER = COVARIATES + ["event"]
TEST_SHARE = 0.3
SEED = 1994


def read(folder, name):
    with open(os.path.join(folder, name), newline="") as source:
        return list(csv.DictReader(source))


def event_within_five_years(events, followed):
    """`events` are the days of events that happened; None where it cannot be known."""
    if events and min(events) <= FIVE_YEARS:
        return "yes"
    return "no" if followed >= FIVE_YEARS else None


def rotterdam_event(row):
    events = [int(row["rtime"])] if row["recur"] == "1" else []
    events += [int(row["dtime"])] if row["death"] == "1" else []
    # Without a recurrence rtime is the last day the patient was seen free of one.
    followed = int(row["dtime"]) if row["recur"] == "1" else int(row["rtime"])
    return event_within_five_years(events, followed)


def gbsg_event(row):
    days = int(row["rfstime"])
    return event_within_five_years([days] if row["status"] == "1" else [], days)


def size_in_bins(millimetres):
    """The three bins of the Rotterdam file."""
    return "<=20" if millimetres <= 20 else "20-50" if millimetres <= 50 else ">50"


def record(row, size, event):
    return [size if c == "size" else row[c] for c in COVARIATES] + [event]


def main(folder):
    sites = {}
    rotterdam = read(folder, "rotterdam.csv")
    for site, (first, last) in PERIODS.items():
        sites[site] = [record(r, r["size"], rotterdam_event(r)) for r in rotterdam
                       if first <= int(r["year"]) <= last]
    sites["gbsg"] = [record(r, size_in_bins(int(r["size"])), gbsg_event(r))
                     for r in read(folder, "gbsg.csv")]
    for site, records in sites.items():
        known = [r for r in records if r[-1] is not None]
        counts = split.write_site(HERE, site, HEADER, known, len(HEADER) - 1, TEST_SHARE, SEED)
        yes = sum(r[-1] == "yes" for r in known)
        print(f"{site}: {counts[0]} train, {counts[1]} test, {yes} events, "
              f"{len(records) - len(known)} not known")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
