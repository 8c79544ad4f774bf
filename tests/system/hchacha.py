"""HChaCha20, which makes a message's key out of a session's: draft-irtf-cfrg-xchacha-03, 2.2."""

import struct

ROUNDS = 10  # double rounds
COLUMNS = [(i, i + 4, i + 8, i + 12) for i in range(4)]
DIAGONALS = [(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4) for i in range(4)]


def _quarter_round(state, a, b, c, d):
    for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[x] = (state[x] + state[y]) & 0xFFFFFFFF
        turned = state[z] ^ state[x]
        state[z] = (turned << turn | turned >> 32 - turn) & 0xFFFFFFFF


def hchacha20(key, nonce):
    """32 bytes, of a key of 32 and the first 16 of a nonce."""
    state = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))
    for _ in range(ROUNDS):
        for quarter in COLUMNS + DIAGONALS:
            _quarter_round(state, *quarter)
    return struct.pack("<8I", *state[:4], *state[12:])
