"""Looks for secrets in the memory of a process and in files, however they are written down."""

import base64
import pathlib

HALF = 16
CHUNK = 1 << 20
PAGE = 4096


def _base64(part, alphabet):
    """The three ways in which base64 shows these bytes amid others, without what depends on the others."""
    for before in range(3):
        text = alphabet(bytes(before) + part + bytes(3))
        yield text[-(-before * 8 // 6):(before + len(part)) * 8 // 6]


def spellings(secret):
    """What of a secret is looked for: each half of it, raw, in hex and in base64."""
    for at in range(0, len(secret), HALF):
        part = secret[at:at + HALF]
        if len(part) < HALF:
            break
        yield part
        yield part.hex().encode()
        yield part.hex().upper().encode()
        yield from _base64(part, base64.b64encode)
        yield from _base64(part, base64.urlsafe_b64encode)


def occupied(data, overlap):
    """The runs of pages that are not empty, each with so many bytes of what is around it."""
    begin = None
    for at in range(0, len(data) + PAGE, PAGE):
        page = data[at:at + PAGE]
        if page.count(0) != len(page):
            begin = at if begin is None else begin
        elif begin is not None:
            yield data[max(0, begin - overlap):at + overlap]
            begin = None


class Search:
    """For secrets that have names."""

    def __init__(self, secrets):
        self.patterns = {name: set(spellings(secret)) for name, secret in secrets.items()}
        self.overlap = max(len(p) for each in self.patterns.values() for p in each)

    def in_bytes(self, data):
        """The names of those that are there."""
        return {name for name, patterns in self.patterns.items()
                if any(pattern in data for pattern in patterns)}

    def in_files(self, paths):
        """Name and path of each."""
        return {(name, str(path)) for path in paths for piece in self.pieces(path)
                for name in self.in_bytes(piece)}

    def pieces(self, path):
        """What is in a file, without pages that are empty: a core dump has little else."""
        tail = b""
        with open(path, "rb") as file:
            while data := file.read(CHUNK):
                yield from occupied(tail + data, self.overlap)
                tail = data[-self.overlap:]

    def in_memory(self, pid):
        """Name and region of each, over all that can be read of the process's memory."""
        found = set()
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for region in regions(pid):
                for piece in region.pieces(memory, self.overlap):
                    found |= {(name, region) for name in self.in_bytes(piece)}
        return found


class Region:
    def __init__(self, start, end, name, flags):
        self.start, self.end, self.name, self.flags = start, end, name, flags

    def __repr__(self):
        return f"{self.start:x}-{self.end:x} {self.name or 'anonymous'}"

    def is_for_secrets(self):
        """Locked, and kept out of core dumps."""
        return {"lo", "dd"} <= self.flags

    def pieces(self, memory, overlap):
        """What is in it, without pages that are empty."""
        tail = b""
        for at in range(self.start, self.end, CHUNK):
            try:
                memory.seek(at)
                data = memory.read(min(CHUNK, self.end - at))
            except (OSError, ValueError, OverflowError):  # memfd_secret and the kernel's own
                tail = b""
                continue
            yield from occupied(tail + data, overlap)
            tail = data[-overlap:]


def regions(pid):
    """Those that can be read, as far as the process's page tables go."""
    current = None
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            start, end = (int(number, 16) for number in words[0].split("-"))
            current = (start, end, words[5] if len(words) > 5 else "", words[1])
        elif words[0] == "VmFlags:" and "r" in current[3]:
            yield Region(*current[:3], set(words[1:]))
