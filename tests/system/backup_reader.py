"""Reads a backup's content as docs/BACKUP_FORMAT.md has it, with nothing of keyd's own."""

import hashlib
import os
import struct
import subprocess

ALGORITHMS = {"rsa": ["-newkey", "rsa:2048"],
              "ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}


class Recovery:
    """A recovery key and its certificate, in files of their own."""

    def __init__(self, folder, algorithm, name="recovery", passphrase=None):
        self.key, self.certificate = folder / f"{name}.pem", folder / f"{name}.crt.pem"
        self.passphrase_file = folder / f"{name}.passphrase"
        self.passphrase_file.write_text(f"{passphrase}\n")
        secret = (["-passout", f"file:{self.passphrase_file}"] if passphrase else ["-nodes"])
        subprocess.run(["openssl", "req", "-x509", *ALGORITHMS[algorithm], *secret, "-keyout", self.key,
                        "-out", self.certificate, "-days", "2", "-subj", "/CN=recovery"], check=True,
                       stderr=subprocess.DEVNULL)


def open_with(key, der):
    """The manifest and the secrets of a backup, opened by openssl with the recovery key of that path."""
    content = subprocess.run(["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-inkey", key],
                             input=der, check=True, capture_output=True, timeout=60).stdout
    return read(content, header_digest(der))


def read_descriptor(descriptor):
    """All of a file that a call of keyd's gave."""
    with os.fdopen(descriptor.take(), "rb") as file:
        file.seek(0)
        return file.read()


def blake2b(key, *parts):
    return hashlib.blake2b(b"".join(parts), digest_size=32, key=key).digest()


def _element(der, at):
    """Tag, where the contents begin, and where the element ends."""
    length, start = der[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(der[start:start + count], "big"), start + count
    return der[at], start, start + length


def _wrap(tag, contents):
    size = len(contents)
    if size < 0x80:
        return bytes([tag, size]) + contents
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(digits)]) + digits + contents


def _without_ciphertext(der, at, path):
    """The element at `at` with the last element, `path` levels below, empty."""
    tag, start, end = _element(der, at)
    if path == 0:
        return _wrap(tag, b"")
    child = start
    while _element(der, child)[2] < end:
        child = _element(der, child)[2]
    return _wrap(tag, der[start:child] + _without_ciphertext(der, child, path - 1))


def header_digest(der):
    # ContentInfo > [0] > EnvelopedData > EncryptedContentInfo > [0] encryptedContent
    return blake2b(b"", _without_ciphertext(der, 0, 4))


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def raw(self, size):
        piece = self.data[self.at:self.at + size]
        assert len(piece) == size, "truncated"
        self.at += size
        return piece

    def number(self, size):
        return int.from_bytes(self.raw(size), "big")

    def field(self, size):
        return self.raw(self.number(size))


def _manifest(data):
    cursor = Cursor(data)
    manifest = {"id": cursor.raw(16), "created": cursor.number(8), "epoch": cursor.number(8),
                "service": cursor.raw(32), "host": cursor.field(1), "keyd": cursor.field(1),
                "master": cursor.field(1).decode()}
    manifest["keys"] = [
        [cursor.field(1).decode() for _ in range(4)] + [cursor.number(4)]
        for _ in range(cursor.number(4))]
    manifest["versions"] = [
        {"key": cursor.field(1).decode(), "number": cursor.number(4), "id": cursor.raw(16),
         "state": cursor.number(1), "times": [cursor.number(8) for _ in range(3)],
         "uses": cursor.number(8), "revoked": cursor.number(8), "spki": cursor.field(2), "reference": cursor.field(2)}
        for _ in range(cursor.number(4))]
    manifest["modules"] = [(cursor.field(1).decode(), cursor.field(1).decode())
                           for _ in range(cursor.number(4))]
    manifest["peers"] = [(cursor.field(1).decode(), cursor.field(2))
                         for _ in range(cursor.number(4))]
    manifest["revocations"] = [
        {"fingerprint": cursor.raw(32), "name": cursor.field(1).decode(), "version": cursor.number(4),
         "at": cursor.number(8), "issuer": cursor.field(1)}
        for _ in range(cursor.number(4))]
    assert cursor.at == len(data)
    return manifest


def read(content, header):
    """The manifest and the secrets by id; fails unless the MAC holds."""
    cursor = Cursor(content)
    head = cursor.raw(5)
    assert head == b"KWBK\x01"
    mac_key = cursor.raw(32)
    body = cursor.at
    manifest = cursor.field(4)
    secrets = {cursor.raw(16): cursor.field(1) for _ in range(cursor.number(4))}
    digest = blake2b(mac_key, header, head, content[body:cursor.at])
    trailer = cursor.at
    cursor.raw(32)
    signer, signature = cursor.field(2), cursor.field(2)
    mac = blake2b(mac_key, b"keyward backup mac 1", digest, content[trailer:cursor.at])
    assert cursor.raw(32) == mac, "the MAC does not hold"
    assert cursor.at == len(content)
    return {**_manifest(manifest), "secrets": secrets, "digest": digest, "signer": signer,
            "signature": signature}


def sample_manifest():
    """One peer-less state with one sealed key, for what needs bytes of the format."""
    spki = bytes.fromhex("302a300506032b6570032100"
                         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")

    def text(word):
        return bytes([len(word)]) + word.encode()

    key = text("frontend") + text("ed25519") + text("sealed") + text("hsm") + struct.pack(">I", 2)
    version = (text("frontend") + struct.pack(">I", 1) + bytes(range(16)) + b"\x02" +
               struct.pack(">QQQQQ", 5, 6, 0, 7, 0) + struct.pack(">H", len(spki)) + spki + b"\0\0")
    return (bytes(16) + struct.pack(">QQ", 1, 2) + bytes(32) + text("host") + text("0.1.0") +
            text("hsm") + struct.pack(">I", 1) + key + struct.pack(">I", 1) + version +
            struct.pack(">I", 1) + text("web") + text("frontend") + struct.pack(">II", 0, 0))


def sample_content():
    """A content around it, for an envelope whose header digest is all zeros."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    manifest, mac_key, head = sample_manifest(), bytes(range(32)), b"KWBK\x01"
    body = (struct.pack(">I", len(manifest)) + manifest + struct.pack(">I", 1) + bytes(range(16)) +
            b"\x20" + seed)
    digest = blake2b(mac_key, bytes(32), head, body)
    trailer = bytes(32) + bytes(4)
    return head + mac_key + body + trailer + blake2b(mac_key, b"keyward backup mac 1", digest, trailer)
