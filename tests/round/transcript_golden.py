#!/usr/bin/env python3
"""Recomputes R0..R3 of a small attempt from wire/PROTOCOL.md alone, with nothing but the standard
library, and prints them. tests/round/transcript_test.c holds the same attempt and these hashes."""
import hashlib
import struct


def h(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def counted(first, length):
    return bytes((first + i) % 256 for i in range(length))


SITES = [1, 4, 70000]
ROSTER_HASH = counted(200, 32)

round_open = b"".join([
    counted(1, 16),                                  # run
    struct.pack("<QI", 7, 2),                        # round, attempt
    counted(3, 32), counted(4, 32),                  # model, plan
    struct.pack("<QHHIII", 1000, 32, 0, 30000, 2, 3),  # parameters, bits, suite, deadline, T, U_min
    struct.pack("<Q", 9), counted(5, 32),            # log head
    counted(6, 32),                                  # nonce
    struct.pack("<H", len(SITES)), b"".join(struct.pack("<I", i) for i in SITES),
])
advertise = struct.pack("<H", 0) + bytes(96)
shares = struct.pack("<HH", 0, 0)


def masked(site, r2):
    return b"".join([struct.pack("<H", 0), r2, struct.pack("<IQHQ", site, 1000, 32, 4008),
                     counted(site % 256, 32)])


def link(step, before, bodies):
    return h(b"CHOIR-SA1/%d" % step, before,
             *[struct.pack("<I", site) + h(body) for site, body in sorted(bodies.items())])


r0 = h(b"CHOIR-SA1/0", ROSTER_HASH, round_open)
r1 = link(1, r0, {i: advertise for i in SITES})
r2 = link(2, r1, {i: shares for i in SITES})
r3 = link(3, r2, {i: masked(i, r2) for i in SITES[:2]})
for name, value in (("R0", r0), ("R1", r1), ("R2", r2), ("R3", r3)):
    print(name, value.hex())
