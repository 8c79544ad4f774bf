"""A verifier of audit logs that was written from docs/AUDIT_FORMAT.md alone: it shares nothing with Keyward's
but that page. Signatures are checked by the openssl command."""

import datetime
import hashlib
import json
import pathlib
import re
import subprocess
import tempfile

MAX_LINE = 4096
MAX_NUMBER = 2**53 - 1
MAX_LAG = 4096
PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._:/@+=,-"
EVENTS = set("""
service.init service.start service.stop service.seal service.unseal service.zeroize boot.quote boot.attest custodian.lost custodian.back custodian.concern
key.generate key.rotate key.prepare key.activate key.retire key.revoke key.destroy key.open key.close
key.sign module.enrol module.remove peer.enrol peer.remove peer.revoke list.import policy.reload session.open session.end
list.export backup.create backup.check backup.restore audit.export audit.sign audit.restart
call.refused policy.pcr master.seal master.forget master.reseal
audit.begin audit.checkpoint audit.retention audit.repair audit.full audit.space""".split())
DIGESTS = {"ecdsa-p256": "-sha256", "ecdsa-p384": "-sha384", "rsa-pss-2048": "-sha256"}
PSS = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"]


class Bad(Exception):
    """The first bad record: its line, counted from 1, and what is wrong."""

    def __init__(self, line, why):
        super().__init__(f"line {line}: {why}")
        self.line = line


class Key:
    """A trusted public key, in PEM."""

    def __init__(self, pem, algorithm):
        self.pem, self.algorithm = pathlib.Path(pem), algorithm
        der = subprocess.run(["openssl", "pkey", "-pubin", "-in", pem, "-outform", "DER"],
                             check=True, stdout=subprocess.PIPE).stdout
        self.fingerprint = hashlib.sha256(der).hexdigest()

    def verifies(self, statement, signature):
        with tempfile.TemporaryDirectory() as folder:
            message, sig = pathlib.Path(folder, "message"), pathlib.Path(folder, "sig")
            message.write_bytes(statement)
            sig.write_bytes(signature)
            if self.algorithm == "ed25519":
                command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", self.pem, "-rawin",
                           "-in", message, "-sigfile", sig]
            else:
                command = ["openssl", "dgst", DIGESTS[self.algorithm], "-verify", self.pem,
                           *(PSS if self.algorithm.startswith("rsa") else []),
                           "-signature", sig, message]
            return subprocess.run(command, check=False, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL).returncode == 0


def digest(data):
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def require(condition, why):
    if not condition:
        raise ValueError(why)


def number(value, low=0, high=MAX_NUMBER):
    require(type(value) is int and low <= value <= high, "a number")
    return value


def text(value):
    require(isinstance(value, str) and len(value) <= 128, "a text")
    rest = re.sub(r"%([0-9A-F]{2})", lambda m: "\n" if chr(int(m[1], 16)) in PLAIN else "", value)
    require(all(c in PLAIN for c in rest), "a text's characters")
    return value


def hexadecimal(value, size):
    require(isinstance(value, str) and re.fullmatch(r"([0-9a-f]{2}){%s}" % size, value), "hex")
    return value


def time(value):
    require(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value, re.ASCII), "a time")
    datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ")
    require(value[17:19] < "60" and value >= "1970", "a time")
    return value


def unique(pairs):
    require(len({name for name, _ in pairs}) == len(pairs), "a member twice")
    return dict(pairs)


def parse(line):
    """The record of a line, a ValueError if it is none."""
    require(len(line) < MAX_LINE, "a line's length")
    record = json.loads(line.decode("ascii"), object_pairs_hook=unique)
    require(isinstance(record, dict), "a record")
    require(json.dumps(record, separators=(",", ":")).encode() == line, "another spelling")
    checkpoint = record.get("event") == "audit.checkpoint"
    members = ["seq", "time", *(["clock"] if "clock" in record else []), "event", "caller", "module", "object",
               "outcome", "detail", *(["checkpoint"] if checkpoint else []), "prev"]
    require(list(record) == members, "other members")
    number(record["seq"], 1)
    time(record["time"])
    require(record.get("clock", "stepped back") == "stepped back", "the clock")
    require(record["event"] in EVENTS, "an event")
    require(record["caller"] == "keyd" or number(record["caller"], 0, 2**32 - 1) >= 0, "a caller")
    text(record["module"])
    text(record["object"])
    require(re.fullmatch("ok|[A-Z][A-Za-z]+", record["outcome"]), "an outcome")
    require(isinstance(record["detail"], dict) and len(record["detail"]) <= 8, "details")
    for name, value in record["detail"].items():
        require(re.fullmatch(r"[a-z][a-z_]{0,31}", name), "a detail's name")
        (number if type(value) is int else text)(value)
    if checkpoint:
        signed = record["checkpoint"]
        require(isinstance(signed, dict) and
                list(signed) == ["log", "through", "head", "key", "signature"], "a checkpoint")
        hexadecimal(signed["log"], 16)
        number(signed["through"], 1)
        hexadecimal(signed["head"], 32)
        hexadecimal(signed["key"], 32)
        hexadecimal(signed["signature"], "0,512")
    hexadecimal(record["prev"], 32)
    return record


def log_id(record):
    return record["checkpoint"]["log"] if "checkpoint" in record else record["detail"].get("log")


def check_first(record):
    event = record["event"]
    require(event == ("audit.begin" if record["seq"] == 1 else "audit.checkpoint"), "no beginning")
    if record["seq"] == 1:
        genesis = f"Keyward audit log v1\nlog {hexadecimal(log_id(record), 16)}\n"
        require(record["prev"] == digest(genesis.encode()), "the chain")


def check_checkpoint(record, hashes, keys):
    signed = record["checkpoint"]
    require(0 < record["seq"] - signed["through"] <= MAX_LAG, "what it signs")
    if signed["through"] >= min(hashes):
        require(hashes[signed["through"]] == signed["head"], "what it signs")
    if keys:
        by = [key for key in keys if key.fingerprint == signed["key"]]
        require(by, "an unknown key")
        statement = (f"Keyward audit checkpoint v1\nlog {signed['log']}\nthrough {signed['through']}\n"
                     f"head {signed['head']}\n")
        require(by[0].verifies(statement.encode(), bytes.fromhex(signed["signature"])), "a signature")


def check_chain(lines, keys, head):
    """The hashes by seq (of the one before the first, too), and the number of checkpoints."""
    hashes, last, first_kept, checkpoints = {}, None, 0, 0
    for place, line in enumerate(lines):
        try:
            record = parse(line)
            if last is None:
                check_first(record)
                first = record
                hashes[record["seq"] - 1] = record["prev"]
            elif record["seq"] == last["seq"] + 1 and record["prev"] != hashes[last["seq"]]:
                raise Bad(blamed(lines, place, head), "the chain")
            else:
                require(record["seq"] == last["seq"] + 1, "its place")
                require(("clock" in record) == (record["time"] < last["time"]), "its time")
                require(record["event"] != "audit.begin", "a second beginning")
            if "checkpoint" in record:
                require(log_id(record) == log_id(first), "another log")
                check_checkpoint(record, hashes, keys)
                checkpoints += 1
        except (ValueError, KeyError, TypeError) as error:
            raise Bad(place + 1, error) from error
        if record["event"] == "audit.retention":
            first_kept = max(first_kept, record["detail"].get("first_kept", 0))
        hashes[record["seq"]] = digest(line)
        last = record
    if first["seq"] > 1 and first_kept < first["seq"]:
        raise Bad(1, "no retention explains the beginning")
    return hashes, checkpoints


def blamed(lines, place, head):
    """Of the lines before and at `place`, which do not fit, the number of the altered one."""
    this = digest(lines[place])
    try:
        altered = parse(lines[place + 1])["prev"] != this
    except IndexError:
        altered = bool(head) and head[0] == parse(lines[place])["seq"] and head[1] != this
    except ValueError:
        altered = False
    return place + 1 if altered else place


def verify(data, keys=(), head=None):
    """Raises Bad unless `data`, the bytes of a log, is valid. `head` is (seq, hash in hex). Returns the last
    such pair."""
    *lines, rest = data.split(b"\n")
    if not lines:
        raise Bad(1, "no record")
    hashes, checkpoints = check_chain(lines, keys, head)
    if rest:
        raise Bad(len(lines) + 1, "the last line does not end")
    if head and hashes.get(head[0]) != head[1]:
        raise Bad(len(lines) + (head[0] > max(hashes)), "the known head is missing")
    if keys and not checkpoints:
        raise Bad(len(lines), "nothing is signed")
    return max(hashes), hashes[max(hashes)]
