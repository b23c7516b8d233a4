#!/usr/bin/env python3
"""Computes one attempt of SA1 with nothing but the standard library: every body, transcript hash,
masked vector and share of four sites, one of which drops out, and the sum of the others. Compares
with what the site machines print. Arguments: the folder of sa1_golden.py (X25519, AES, ChaCha20 and
the rest written out), the program sa1_round, suite, lane bits. TAP; without a program it prints."""
import hashlib
import struct
import subprocess
import sys

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from sa1_golden import (BASE, L, combine, expand, hkdf, restore, seal, self_check,  # noqa: E402
                        stream, u32, x25519)
import hmac  # noqa: E402

SUITE, BITS = int(sys.argv[-2]), int(sys.argv[-1])
SITES, DROPPED, PARAMETERS, ROUND, ATTEMPT, T, U_MIN = [1, 4, 9, 700], 9, 10, 3, 1, 3, 3
LIVE = [site for site in SITES if site != DROPPED]
WIDTH = BITS // 8
LENGTH = (PARAMETERS + 1) * WIDTH
RUN = b'the run'.ljust(16, b'\0')
ROSTER_HASH = bytes(32)


def h(*parts):
    return hashlib.sha256(b''.join(parts)).digest()


def wide(prk, info):  # 64 bytes mod l
    return int.from_bytes(expand(prk, info, 64), 'little') % L


def scalar(value):
    return (value % L).to_bytes(32, 'little')


def extract(secret, salt):
    return hmac.new(salt, secret, hashlib.sha256).digest()


def link(step, before, bodies):
    return h(b'CHOIR-SA1/%d' % step, before,
             *[u32(site) + h(body) for site, body in sorted(bodies.items())])


class Site:
    def __init__(self, place, r0):
        self.id = SITES[place]
        fresh = bytes((16 * place + 64 * ATTEMPT + k) % 256 for k in range(32))
        prk = extract(fresh, r0)
        self.rho, self.b = wide(prk, b'rho'), wide(prk, b'b')
        self.esk = expand(prk, b'share-sk')
        self.seeds = {'rho': expand(prk, b'split-rho'), 'b': expand(prk, b'split-b')}
        self.msk = hkdf(scalar(self.rho), r0, b'mask-sk')
        self.mpk, self.epk = x25519(self.msk, BASE), x25519(self.esk, BASE)
        com = h(b'CHOIR-SA1/com', r0, u32(self.id), scalar(self.b))
        self.advert = struct.pack('<H', SUITE) + self.mpk + self.epk + com
        lanes = [(place + 1) * 1000 + 7 * k for k in range(PARAMETERS)] + [1]
        self.plain = b''.join(lane.to_bytes(WIDTH, 'little') for lane in lanes)

    def share(self, name, holder):  # at x = site id + 1
        seed, x = self.seeds[name], holder + 1
        terms = [self.rho if name == 'rho' else self.b]
        terms += [wide(seed, b'coefficient' + u32(k)) for k in range(1, T)]
        return scalar(sum(term * pow(x, k, L) for k, term in enumerate(terms)))

    def bundle(self, sites, r1):
        boxes = []
        for other in sites:
            if other is self:
                continue
            bound = u32(self.id) + u32(other.id)
            key = hkdf(x25519(self.esk, other.epk), r1, b'share' + bound)
            pair = self.share('rho', other.id) + self.share('b', other.id)
            boxes.append(u32(other.id) + seal(key, pair, r1 + bound))
        return struct.pack('<HH', SUITE, len(boxes)) + b''.join(boxes)

    def pair_seed(self, other, r2):
        low, high = sorted((self.id, other.id))
        return hkdf(x25519(self.msk, other.mpk), r2, b'pair' + u32(low) + u32(high))

    def self_seed(self, r2):
        return hkdf(scalar(self.b), r2, b'self' + u32(self.id))

    def masked(self, sites, r2):
        vector = apply(self.plain, self.self_seed(r2), 1)
        for other in sites:
            if other is not self:
                sign = 1 if self.id < other.id else -1
                vector = apply(vector, self.pair_seed(other, r2), sign)
        return vector

    def reveal(self, sites):
        parts = [u32(other.id) + bytes([other.id not in LIVE]) +
                 other.share('b' if other.id in LIVE else 'rho', self.id) for other in sites]
        return struct.pack('<HH', SUITE, len(parts)) + b''.join(parts)


def apply(lanes, seed, sign):
    return combine(lanes, stream(SUITE, seed, 0, 0, LENGTH), sign, WIDTH)


def header(site, vector, r2):
    root = h(b'\0', vector)  # a tree of one chunk
    return b''.join([struct.pack('<H', SUITE), r2,
                     struct.pack('<IQHQ', site, PARAMETERS, BITS, LENGTH), root])


def attempt():
    round_open = b''.join([
        RUN, struct.pack('<QI', ROUND, ATTEMPT), bytes(64),
        struct.pack('<QHHIII', PARAMETERS, BITS, SUITE, 1000, T, U_MIN), bytes(8 + 32 + 32),
        struct.pack('<H', len(SITES)), *[u32(site) for site in SITES]])
    r0 = h(b'CHOIR-SA1/0', ROSTER_HASH, round_open)
    sites = [Site(place, r0) for place in range(len(SITES))]
    r1 = link(1, r0, {site.id: site.advert for site in sites})
    bundles = {site.id: site.bundle(sites, r1) for site in sites}
    r2 = link(2, r1, bundles)
    vectors = {site.id: site.masked(sites, r2) for site in sites}
    headers = {site: header(site, vector, r2) for site, vector in vectors.items()}
    r3 = link(3, r2, {site: headers[site] for site in LIVE})
    for k, r in enumerate((r0, r1, r2, r3)):
        yield 'R-%d' % k, r
    for place, site in enumerate(sites):
        yield 'advertise-%d' % place, site.advert
        yield 'shares-%d' % place, bundles[site.id]
        yield 'masked-%d' % place, headers[site.id]
        yield 'vector-%d' % place, vectors[site.id]
        if site.id in LIVE:
            yield 'consent-%d' % place, r2 + r3
            yield 'unmask-%d' % place, site.reveal(sites)
        yield 'secret-%d' % place, scalar(site.b if site.id in LIVE else site.rho)
    total = bytes(LENGTH)
    for site in sites:
        if site.id in LIVE:
            total = combine(total, site.plain, 1, WIDTH)
    yield 'sum-0', total
    yield from restored(sites)


def restored(sites):  # the shares that were revealed open what the script started from
    for place, site in enumerate(sites):
        name = 'b' if site.id in LIVE else 'rho'
        points = [(holder + 1, int.from_bytes(site.share(name, holder), 'little'))
                  for holder in LIVE]
        yield 'secret-%d' % place, restore(points)


def main():
    self_check()
    if len(sys.argv) < 5:
        for name, value in attempt():
            print(name, value.hex())
        return 0
    lines = subprocess.run([sys.argv[2], *sys.argv[-2:]], check=True, capture_output=True,
                           text=True).stdout.splitlines()
    printed = dict((line + ' ').split(' ')[:2] for line in lines)
    results = [(name, printed.get(name) == value.hex()) for name, value in attempt()]
    silent = SITES.index(DROPPED)
    results += [('%s-%d is empty' % (name, silent), printed.get('%s-%d' % (name, silent)) == '')
                for name in ('consent', 'unmask')]
    for number, (name, good) in enumerate(results, 1):
        print('%s %d - %s is what the script computes' % ('ok' if good else 'not ok', number, name))
    print('1..%d' % len(results))
    return 0 if all(good for _, good in results) else 1


sys.exit(main())
