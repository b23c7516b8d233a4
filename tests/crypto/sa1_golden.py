#!/usr/bin/env python3
"""Computes one chain of the derivations of SA1 with nothing but the standard library, and compares
it with what the program named on the command line (sa1_chain) prints. X25519, AES-256, ChaCha20,
XChaCha20-Poly1305 and interpolation are written out here from RFC 7748, FIPS 197, RFC 8439 and
draft-irtf-cfrg-xchacha-03. TAP; without a program it prints the chain."""
import hashlib
import hmac
import itertools
import struct
import subprocess
import sys

I, J, SEGMENT, OFFSET, THRESHOLD = 4, 70000, 258, 16380, 3
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493


def counted(first, length=32):
    return bytes((first + k) % 256 for k in range(length))


def u32(value):
    return struct.pack('<I', value)


def expand(prk, info, length=32):
    out, block, number = b'', b'', 0
    while len(out) < length:
        number += 1
        block = hmac.new(prk, block + info + bytes([number]), hashlib.sha256).digest()
        out += block
    return out[:length]


def hkdf(secret, salt, info):
    return expand(hmac.new(salt, secret, hashlib.sha256).digest(), info)


def x25519(key, u):  # RFC 7748, section 5, as affine additions on the curve's x-coordinates
    key = bytearray(key)
    key[0] &= 248
    key[31] = key[31] & 127 | 64
    k = int.from_bytes(key, 'little')
    u = int.from_bytes(u, 'little') % 2**255 % P
    x2, z2, x3, z3 = 1, 0, u, 1
    for bit in reversed(range(255)):
        swap = k >> bit & 1
        if swap:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        x3, z3 = (d * a + c * b)**2 % P, u * (d * a - c * b)**2 % P
        x2, z2 = (a * a * b * b) % P, (a * a - b * b) * (a * a + 121665 * (a * a - b * b)) % P
        if swap:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, 'little')


BASE = bytes([9]) + bytes(31)


def times(a, b):  # in GF(2^8) of AES
    product = 0
    while b:
        product ^= a * (b & 1)
        a, b = a << 1 ^ (0x11b if a & 128 else 0), b >> 1
    return product


def sbox_entry(value):
    inverse = next((i for i in range(1, 256) if value and times(value, i) == 1), 0)
    spread = inverse ^ inverse << 1 ^ inverse << 2 ^ inverse << 3 ^ inverse << 4
    return (spread ^ spread >> 8) & 255 ^ 0x63


SBOX = [sbox_entry(value) for value in range(256)]


def aes256(key, block):
    words, power = [list(key[4 * k:4 * k + 4]) for k in range(8)], 1
    for k in range(8, 60):
        word = words[-1]
        if k % 8 == 0:
            word = [SBOX[byte] for byte in word[1:] + word[:1]]
            word[0] ^= power
            power = times(power, 2)
        elif k % 8 == 4:
            word = [SBOX[byte] for byte in word]
        words.append([a ^ b for a, b in zip(words[-8], word)])
    keys = [sum(words[4 * k:4 * k + 4], []) for k in range(15)]
    state = [a ^ b for a, b in zip(block, keys[0])]
    for number in range(1, 15):
        state = [SBOX[state[(k + 4 * (k % 4)) % 16]] for k in range(16)]
        if number < 14:
            columns = [state[4 * k:4 * k + 4] for k in range(4)]
            state = [times(c[r], 2) ^ times(c[(r + 1) % 4], 3) ^ c[(r + 2) % 4] ^ c[(r + 3) % 4]
                     for c in columns for r in range(4)]
        state = [a ^ b for a, b in zip(state, keys[number])]
    return bytes(state)


def chacha_rounds(state):
    state = list(state)

    def turn(word, by):
        return (word << by | word >> 32 - by) & 0xffffffff

    def quarter(a, b, c, d):
        for x, y, z, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[x] = state[x] + state[y] & 0xffffffff
            state[z] = turn(state[z] ^ state[x], by)

    for _ in range(10):
        for k in range(4):
            quarter(k, 4 + k, 8 + k, 12 + k)
        for k in range(4):
            quarter(k, 4 + (k + 1) % 4, 8 + (k + 2) % 4, 12 + (k + 3) % 4)
    return state


SIGMA = struct.unpack('<4I', b'expand 32-byte k')


def chacha20(key, counter, nonce=bytes(12)):
    state = [*SIGMA, *struct.unpack('<8I', key), counter, *struct.unpack('<3I', nonce)]
    mixed = chacha_rounds(state)
    return struct.pack('<16I', *[(a + b) % 2**32 for a, b in zip(state, mixed)])


def hchacha20(key, nonce):
    mixed = chacha_rounds([*SIGMA, *struct.unpack('<8I', key), *struct.unpack('<4I', nonce)])
    return struct.pack('<8I', *mixed[:4], *mixed[12:])


def poly1305(key, text):
    r = int.from_bytes(key[:16], 'little') & 0x0ffffffc0ffffffc0ffffffc0fffffff
    total = 0
    for at in range(0, len(text), 16):
        total = (total + int.from_bytes(text[at:at + 16] + b'\1', 'little')) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], 'little')) % 2**128).to_bytes(16, 'little')


def seal(key, text, bound):  # XChaCha20-Poly1305 with nonce 0
    key = hchacha20(key, bytes(16))
    stream = b''.join(chacha20(key, 1 + k) for k in range(len(text) // 64 + 1))
    sealed = bytes(a ^ b for a, b in zip(text, stream))
    padded = b''.join(part + bytes(-len(part) % 16) for part in (bound, sealed))
    return sealed + poly1305(chacha20(key, 0)[:32],
                             padded + struct.pack('<QQ', len(bound), len(sealed)))


def stream(suite, seed, segment, offset, length):
    key = expand(seed, b'prg' + struct.pack('<HI', suite, segment))
    size = 16 if suite == 1 else 64
    first, last = offset // size, (offset + length - 1) // size
    blocks = b''.join(aes256(key, k.to_bytes(16, 'big')) if suite == 1 else chacha20(key, k)
                      for k in range(first, last + 1))
    return blocks[offset - first * size:][:length]


def combine(lanes, mask, sign, width):
    return b''.join(
        ((int.from_bytes(lanes[k:k + width], 'little') +
          sign * int.from_bytes(mask[k:k + width], 'little')) % 256**width).to_bytes(width, 'little')
        for k in range(0, len(lanes), width))


def restore(points):  # interpolation at 0, in Z_l
    total = 0
    for x, y in points:
        for other, _ in points:
            if other != x:
                y = y * other * pow(other - x, -1, L) % L
        total += y
    return (total % L).to_bytes(32, 'little')


def chain():
    rho_i, rho_j, b = counted(10), counted(20), counted(30)
    r0, r1, r2 = counted(100), counted(101), counted(102)
    sk_i, sk_j = hkdf(rho_i, r0, b'mask-sk'), hkdf(rho_j, r0, b'mask-sk')
    pk_i, pk_j = x25519(sk_i, BASE), x25519(sk_j, BASE)
    shared = x25519(sk_i, pk_j)
    assert shared == x25519(sk_j, pk_i)
    yield 'mask-sk', sk_i
    yield 'mask-pk', pk_i
    yield 'com', hashlib.sha256(b'CHOIR-SA1/com' + r0 + u32(J) + b).digest()
    yield 'self', hkdf(b, r2, b'self' + u32(J))
    yield 'pair', hkdf(shared, r2, b'pair' + u32(I) + u32(J))
    yield 'share', hkdf(shared, r1, b'share' + u32(J) + u32(I))
    for suite, name in ((1, 'aes-256'), (2, 'chacha20')):
        mask = stream(suite, counted(60), SEGMENT, OFFSET, 100)
        yield name, mask
        yield name + '+32', combine(counted(70, 100), mask, 1, 4)
        yield name + '-16', combine(counted(70, 100), mask, -1, 2)
    yield 'box', seal(counted(40), counted(50, 64), r1 + u32(I) + u32(J))


def self_check():  # published values, so that the script itself stands on something
    assert x25519(bytes.fromhex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'),
                  BASE).hex() == '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a'
    assert aes256(bytes(range(32)), bytes(17 * k for k in range(16))).hex() == \
        '8ea2b7ca516745bfeafc49904b496089'
    assert chacha20(bytes(32), 0).hex().startswith('76b8e0ada0f13d90405d6ae55386bd28')
    assert hchacha20(bytes(range(32)), bytes.fromhex('000000090000004a0000000031415927')).hex() == \
        '82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc'


def main():
    self_check()
    if len(sys.argv) < 2:
        for name, value in chain():
            print(name, value.hex())
        return 0
    printed = dict(line.split() for line in
                   subprocess.run(sys.argv[1], check=True, capture_output=True, text=True)
                   .stdout.splitlines())
    results = [(name, printed.get(name) == value.hex()) for name, value in chain()]
    shares = [(int(name[6:]) + 1, int.from_bytes(bytes.fromhex(value), 'little'))
              for name, value in printed.items() if name.startswith('share-')]
    results.append(('shares', len(shares) == 5 and all(
        restore(some).hex() == printed['secret']
        for some in itertools.combinations(shares, THRESHOLD))))
    for number, (name, good) in enumerate(results, 1):
        print('%s %d - %s is what the script computes' % ('ok' if good else 'not ok', number, name))
    print('1..%d' % len(results))
    return 0 if all(good for _, good in results) else 1


if __name__ == '__main__':
    sys.exit(main())
