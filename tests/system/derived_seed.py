"""The seed of a derived key, as docs/STORE_FORMAT.md describes it, by Python's own hashlib."""

import hashlib


def derived_seed(master, key, version, salt):
    """Of version `version` of `key` under the master key; 32 bytes."""
    subkey = hashlib.blake2b(key=master, digest_size=32, salt=(5).to_bytes(8, "little"),
                             person=b"KeywardM").digest()
    purpose = b"keyward transport key 1" + bytes([len(key)]) + key.encode() + version.to_bytes(4, "big")
    return hashlib.blake2b(purpose + salt, key=subkey, digest_size=32).digest()
