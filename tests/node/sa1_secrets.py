"""Every secret of a round of SA1, computed from a proof and from what the sites drew, by the
definitions in round/masking.h and crypto/agree.h; with nothing but the standard library."""
import hashlib
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "crypto"))
import sa1_golden as sa1  # noqa: E402

ENVELOPE_HEAD = 92
OTHER_THREAD, UNDUMPABLE = 0x40000000, 0xffffffff


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def scalar(number):
    return (number % sa1.L).to_bytes(32, "little")


class Reader:
    def __init__(self, content):
        self.content, self.at = content, 0

    def take(self, length):
        self.at += length
        if self.at > len(self.content):
            raise ValueError("cut off")
        return self.content[self.at - length:self.at]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]


class Round:
    """What a proof says: round/proof.h."""

    def __init__(self, proof, roster_hash):
        reader = Reader(proof)
        if reader.take(8) != b"CHRPROOF" or reader.number("H") != 1:
            raise ValueError("not a proof")
        reader.take(16)
        self.number, self.attempt = reader.number("Q"), reader.number("I")
        opened, adverts, _, _ = [reader.take(reader.number("I")) for _ in range(4)]
        self.revealed, bundles = {}, b""
        for _ in range(reader.number("H")):
            site, bundle, of_rho = reader.number("I"), reader.take(32), reader.number("B")
            self.revealed[site] = ("rho" if of_rho else "b", reader.take(32))
            bundles += struct.pack("<I", site) + bundle
        self.suite, _, self.threshold = struct.unpack_from("<HII", opened, 102)
        self.adverts = dict(self.read_adverts(adverts))  # site -> body
        self.v2 = list(self.revealed)
        self.r0 = sha256(b"CHOIR-SA1/0", roster_hash, opened)
        self.r1 = sha256(b"CHOIR-SA1/1", self.r0, *[struct.pack("<I", site) + sha256(body)
                                                   for site, body in sorted(self.adverts.items())])
        self.r2 = sha256(b"CHOIR-SA1/2", self.r1, bundles)

    @staticmethod
    def read_adverts(content):
        reader = Reader(content)
        for _ in range(reader.number("H")):
            envelope = reader.take(reader.number("H"))
            length = struct.unpack_from("<I", envelope, ENVELOPE_HEAD - 4)[0]
            yield (struct.unpack_from("<I", envelope, 36)[0],
                   envelope[ENVELOPE_HEAD:ENVELOPE_HEAD + length])

    def keys(self, site):
        """Mask key, share key and commitment of a site of V1."""
        body = self.adverts[site]
        return body[2:34], body[34:66], body[66:98]


def read_draws(path):
    """What one process drew, by draws.c: ((of its first thread?, value), ..), and how becoming
    undumpable went."""
    with open(path, "rb") as file:
        reader = Reader(file.read())
    drawn, undumpable = [], []
    while reader.at < len(reader.content):
        length = reader.number("I")
        if length == UNDUMPABLE:
            undumpable.append(reader.number("I"))
        else:
            drawn.append((length < OTHER_THREAD, reader.take(length % OTHER_THREAD)))
    return drawn, undumpable


def derive(fresh, salt, label, length=32):
    return sa1.expand(sa1.hmac.new(salt, fresh, hashlib.sha256).digest(), label, length)


def scalar_of(fresh, r0, label):
    return scalar(int.from_bytes(derive(fresh, r0, label, 64), "little"))


def is_of_attempt(fresh, around, site):
    """Whether these bytes are what the advert of the site was made of."""
    b = scalar_of(fresh, around.r0, b"b")
    commitment = sha256(b"CHOIR-SA1/com", around.r0, sa1.u32(site), b)
    return commitment == around.keys(site)[2]


def split(secret, seed, threshold, sites):
    """(name, bytes) of the coefficients and of each site's share."""
    coefficients = [int.from_bytes(secret, "little")]
    for k in range(1, threshold):
        wide = sa1.expand(seed, b"coefficient" + sa1.u32(k), 64)
        coefficients.append(int.from_bytes(wide, "little") % sa1.L)
        yield f"coefficient {k}", scalar(coefficients[-1])
    for site in sites:
        yield f"share of {site}", scalar(sum(c * pow(site + 1, k, sa1.L)
                                             for k, c in enumerate(coefficients)))


def of_site(fresh, around, site):
    """(name, bytes) of everything secret that the site derives in the attempt."""
    rho, b = (scalar_of(fresh, around.r0, label) for label in (b"rho", b"b"))
    share_sk = derive(fresh, around.r0, b"share-sk")
    mask_sk = sa1.hkdf(rho, around.r0, b"mask-sk")
    if (sa1.x25519(mask_sk, sa1.BASE), sa1.x25519(share_sk, sa1.BASE)) != around.keys(site)[:2]:
        raise ValueError("the keys of the advert are not what the definitions say")
    yield from (("rho", rho), ("b", b), ("share secret key", share_sk), ("mask secret key", mask_sk))
    for name, secret in (("rho", rho), ("b", b)):
        seed = derive(fresh, around.r0, b"split-" + name.encode())
        yield "polynomial of " + name, seed
        for part, value in split(secret, seed, around.threshold, sorted(around.adverts)):
            yield f"{part} of {name}", value
    seeds = [("self seed", sa1.hkdf(b, around.r2, b"self" + sa1.u32(site)))]
    for other in sorted(around.adverts):
        if other == site:
            continue
        shared = sa1.x25519(share_sk, around.keys(other)[1])
        yield f"shared with {other}", shared
        for ends in ((site, other), (other, site)):
            yield "share key of %d for %d" % ends, sa1.hkdf(
                shared, around.r1, b"share" + sa1.u32(ends[0]) + sa1.u32(ends[1]))
        shared = sa1.x25519(mask_sk, around.keys(other)[0])
        yield f"agreed with {other}", shared
        if other in around.v2 and site in around.v2:
            low, high = sorted((site, other))
            seeds.append((f"pair seed with {other}", sa1.hkdf(
                shared, around.r2, b"pair" + sa1.u32(low) + sa1.u32(high))))
    for name, seed in seeds:
        yield name, seed
        yield "cipher key of " + name, sa1.expand(seed, b"prg" + struct.pack("<HI", around.suite, 0))
