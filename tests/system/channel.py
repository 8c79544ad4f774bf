"""The channel protocol of docs/PROTOCOLS.md, spoken by Python alone."""

import array
import os
import socket
import struct

HEADER = struct.Struct(">BBHIIHH")
VERSION = 1
STEP, SEAL, OPEN, REKEY, CLOSE, TOKEN, CHECK_TOKEN = 1, 2, 3, 4, 5, 6, 7
SIGN, CLOSED = 16, 128
IN_MEMFD = 1
MAX_INLINE = 96 * 1024

# The numbers of core/error.h that tests name.
CODES = {
    1: "InvalidArgument", 2: "Malformed", 3: "TooLarge", 4: "NotFound", 5: "AlreadyExists",
    6: "PermissionDenied", 7: "UnknownProtocol", 8: "UnknownPurpose", 9: "NotSupported",
    10: "PeerNotAllowed", 11: "AuthenticationFailed", 12: "StaleTimestamp", 13: "Replayed",
    14: "WrongState", 15: "SessionClosed", 16: "Revoked", 17: "Expired", 18: "Busy",
    19: "ResourceExhausted", 20: "CustodianUnavailable", 21: "PinRejected",
    22: "CustodianReplaced", 23: "Configuration", 24: "Io", 25: "DataCorrupt", 26: "Internal",
    27: "CircuitBreakerOpen", 28: "Unreachable", 29: "Sealed", 30: "NotInitialised", 31: "RolledBack",
    32: "PcrMismatch", 33: "CustodianCleared", 34: "LockedOut", 35: "CustodianBusy",
}


class ChannelError(Exception):
    """A reply whose status is not 0."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class Channel:
    """One handle; requests one at a time unless send and receive are used."""

    def __init__(self, fd):
        self.socket = socket.socket(fileno=fd)
        self.socket.settimeout(30)
        self.next_id = 1

    def send(self, opcode, body):
        request_id = self.next_id
        self.next_id += 1
        if len(body) <= MAX_INLINE:
            self.socket.send(HEADER.pack(VERSION, opcode, 0, request_id, len(body), 0, 0) + body)
            return request_id
        fd = os.memfd_create("body")
        try:
            os.write(fd, body)
            header = HEADER.pack(VERSION, opcode, 0, request_id, len(body), IN_MEMFD, 0)
            self.socket.sendmsg(
                [header], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        finally:
            os.close(fd)
        return request_id

    def receive(self):
        """(opcode, status, request id, body); None at the end of the connection."""
        try:
            packet, control, _, _ = self.socket.recvmsg(HEADER.size + MAX_INLINE, 64)
        except ConnectionError:
            return None
        if not packet:
            return None
        _, opcode, status, request_id, size, flags, _ = HEADER.unpack(packet[:HEADER.size])
        body = packet[HEADER.size:]
        if flags & IN_MEMFD:
            (_, _, data), = control
            fd, = array.array("i", data)
            body = os.pread(fd, size, 0)
            os.close(fd)
        return opcode, status, request_id, body

    def request(self, opcode, body=b""):
        request_id = self.send(opcode, body)
        reply = self.receive()
        if reply is None:
            raise ChannelError("EndOfConnection", "")
        opcode, status, reply_id, body = reply
        if status:
            raise ChannelError(CODES[status], body[5:].decode())
        assert reply_id == request_id, (reply_id, request_id)
        return body

    def wait_closed(self):
        """The code that keyd gave for the end, then the end itself."""
        code = None
        while (reply := self.receive()) is not None:
            opcode, status, _, _ = reply
            if opcode == CLOSED:
                code = CODES[status]
        return code

    def step(self, data=b""):
        body = self.request(STEP, data)
        return body[1:], bool(body[0])

    def seal(self, plaintext, metadata=b""):
        return self.request(SEAL, struct.pack(">I", len(metadata)) + metadata + plaintext)

    def open(self, frame):
        body = self.request(OPEN, frame)
        size, = struct.unpack(">I", body[:4])
        return body[4 + size:], body[4:4 + size]

    def rekey(self):
        self.request(REKEY)

    def token(self):
        return self.request(TOKEN)

    def check_token(self, token):
        """(session, seconds left, module)"""
        body = self.request(CHECK_TOKEN, token)
        session, left, size = struct.unpack(">QIB", body[:13])
        assert size == len(body) - 13
        return session, left, body[13:].decode()

    def sign(self, purpose, payload):
        return self.request(SIGN, bytes([len(purpose)]) + purpose.encode() + payload)
