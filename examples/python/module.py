#!/usr/bin/python3
"""The module of examples/module in Python, on plain D-Bus: no library of Keyward's own.

    module.py --listen /run/b.sock --key backend-id --peer frontend
    module.py --connect /run/b.sock --key frontend-id --peer backend --say hello

Needs Debian's python3-dbus, and with it Debian's /usr/bin/python3. Either end may be the C++ module:
what they say to each other is in examples/module/message.h, the framing in api/stream.h.
"""

import argparse
import hashlib
import json
import os
import select
import socket
import struct
import sys
import time

import dbus

SERVICE = "org.keyward.Keyd1"
CHUNK = 64 * 1024
LARGEST = 16 * 1024 * 1024 + 64 * 1024
PATIENCE = 30  # seconds, with the peer
# When the connection and the session end together, keyd's reason may come second.
PATIENCE_FOR_REASON = 2

# What keyd sends over the session's descriptor by itself: docs/PROTOCOLS.md, "The channel".
HEADER = struct.Struct(">BBHIIHH")  # version, opcode, status, request id, body size, flags, 0
ERROR = struct.Struct(">BI")  # action, retry after; then words
CLOSED = 128
STATUS = """
    Ok InvalidArgument Malformed TooLarge NotFound AlreadyExists PermissionDenied UnknownProtocol
    UnknownPurpose NotSupported PeerNotAllowed AuthenticationFailed StaleTimestamp Replayed
    WrongState SessionClosed Revoked Expired Busy ResourceExhausted CustodianUnavailable
    PinRejected CustodianReplaced Configuration Io DataCorrupt Internal CircuitBreakerOpen
    """.split()


class SessionEnded(Exception):
    """keyd ended the session."""

    def __init__(self, code, reason):
        super().__init__(f"{reason} ({code})")
        self.code, self.reason = code, reason


class Session:
    """A session of keyd's. Its keys stay there; it lasts as long as its descriptor is open."""

    def __init__(self, bus, key, role, peer):
        manager = dbus.Interface(bus.get_object(SERVICE, "/org/keyward/Keyd1"), f"{SERVICE}.Manager")
        path, descriptor = manager.OpenSession(key, "aico", role, peer,
                                               dbus.Dictionary({}, signature="sv"))
        self.path = str(path)
        self.role = role
        self._channel = socket.socket(fileno=descriptor.take())
        self._keyd = dbus.Interface(bus.get_object(SERVICE, path), f"{SERVICE}.Session")

    def step(self, message):
        output, established = self._keyd.Step(dbus.ByteArray(message), byte_arrays=True)
        return bytes(output), bool(established)

    def seal(self, plaintext, metadata):
        return bytes(self._keyd.Seal(dbus.ByteArray(plaintext), metadata, byte_arrays=True))

    def open(self, frame):
        plaintext, metadata = self._keyd.Open(dbus.ByteArray(frame), byte_arrays=True)
        return bytes(plaintext), str(metadata)

    def fileno(self):
        """Readable once keyd has ended the session: nothing else is asked for over it here."""
        return self._channel.fileno()

    def check_open(self, patience=0):
        """Raises SessionEnded when keyd has ended the session, or does so within `patience`."""
        if not select.select([self], [], [], patience)[0]:
            return
        packet = self._channel.recv(CHUNK)
        if len(packet) < HEADER.size + ERROR.size:
            raise SessionEnded("SessionClosed", "keyd closed the session's channel")
        _, opcode, status, *_ = HEADER.unpack_from(packet)
        if opcode == CLOSED:
            raise SessionEnded(STATUS[status] if status < len(STATUS) else "Internal",
                               packet[HEADER.size + ERROR.size:].decode(errors="replace"))

    def close(self):
        self._channel.close()


class Connection:
    """Messages on a stream socket: a big-endian length of 4 bytes, then so many bytes."""

    def __init__(self, stream):
        self._stream = stream
        stream.settimeout(PATIENCE)

    def fileno(self):
        return self._stream.fileno()

    def send(self, message):
        self._stream.sendall(struct.pack(">I", len(message)) + message)

    def receive(self):
        (size,) = struct.unpack(">I", self._exactly(4))
        if size > LARGEST:
            raise ValueError("the peer announced a message over the limit")
        return self._exactly(size)

    def _exactly(self, size):
        data = bytearray()
        while len(data) < size:
            part = self._stream.recv(size - len(data))
            if not part:
                raise ConnectionError("the peer closed the connection")
            data += part
        return bytes(data)


def handshake(session, connection):
    """Steps both ends' messages through keyd until it says that the session is established."""
    message = b"" if session.role == "initiator" else connection.receive()
    while True:
        output, established = session.step(message)
        if output:
            connection.send(output)
        if established:
            return
        message = connection.receive()


class Conversation:
    """The initiator speaks first; the responder once it has heard "done"."""

    def __init__(self, session, connection, options, report):
        self.session, self.connection = session, connection
        self.options, self.report = options, report

    def run(self):
        """Raises SessionEnded, with keyd's reason, when the session ends before its time."""
        turns = [self.speak, self.listen]
        try:
            for turn in turns if self.session.role == "initiator" else reversed(turns):
                turn()
        except (dbus.DBusException, OSError):
            self.session.check_open(PATIENCE_FOR_REASON)
            raise

    def receive(self):
        """The next message, unless keyd ends the session while it is waited for."""
        ready, _, _ = select.select([self.session, self.connection], [], [], PATIENCE)
        if not ready:
            raise TimeoutError("the peer says nothing")
        self.session.check_open()
        return self.connection.receive()

    def send(self, kind, plaintext):
        self.connection.send(self.session.seal(plaintext, json.dumps({"type": kind})))

    def speak(self):
        for text in self.options.say:
            self.send("text", text.encode())
            self.report("sent", f"said: {text}", text=text)
        if self.options.send_file:
            self.send_file()
        self.send("done", b"")

    def send_file(self):
        digest, size = hashlib.sha256(), 0
        with open(self.options.send_file, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                self.send("chunk", chunk)
        self.send("file-end", digest.digest())
        self.report_file("sent", size, digest)

    def listen(self):
        file, digest, size = None, hashlib.sha256(), 0
        while True:
            plaintext, metadata = self.session.open(self.receive())
            kind = json.loads(metadata)["type"]
            if kind == "done":
                return
            if kind == "text":
                text = plaintext.decode()
                self.report("text", f"heard: {text}", text=text)
            elif kind == "chunk":
                file = file or open(self.options.receive_file or os.devnull, "wb")
                file.write(plaintext)
                digest.update(plaintext)
                size += len(plaintext)
            elif kind == "file-end":
                if file:
                    file.close()
                if plaintext != digest.digest():
                    raise ValueError("the file is not the one that the peer sent")
                self.report_file("received", size, digest)
                file, digest, size = None, hashlib.sha256(), 0
            elif kind != "chat":
                raise ValueError("the peer sent a message of an unknown type")

    def report_file(self, direction, size, digest):
        self.report("file", f"{direction} a file of {size} bytes, SHA-256 {digest.hexdigest()}",
                    direction=direction, bytes=size, sha256=digest.hexdigest())


def converse(conversation, report):
    def closed(code, reason):
        report("closed", f"session closed: {reason}", code=code, reason=reason)

    try:
        conversation.run()
    except SessionEnded as ended:
        closed(ended.code, ended.reason)
        raise
    closed("SessionClosed", "both sides have said all they had to say")


def accept_one(path, report):
    if os.path.exists(path):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        os.chmod(path, 0o666)  # who is there is settled by the handshake
        listener.listen(1)
        report("listening", f"listening on {path}", socket=path)
        try:
            return listener.accept()[0]
        finally:
            os.unlink(path)


def connect(path):
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.connect(path)
    return stream


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    role = parser.add_mutually_exclusive_group(required=True)
    role.add_argument("--listen", metavar="SOCKET", help="wait on this Unix socket, as responder")
    role.add_argument("--connect", metavar="SOCKET", help="connect to it, as initiator")
    parser.add_argument("--key", required=True, help="the key that is this module's identity")
    parser.add_argument("--peer", required=True, help="the module at the other end")
    parser.add_argument("--say", action="append", default=[], metavar="TEXT", help="send this text")
    parser.add_argument("--send-file", metavar="FILE", help="send this file")
    parser.add_argument("--receive-file", metavar="FILE", help="where a file that comes goes")
    parser.add_argument("--events", action="store_true", help="tell what happens as JSON lines")
    return parser.parse_args()


def main():
    options = parse()

    def report(event, words, **fields):
        print(json.dumps({"event": event, **fields}) if options.events else words, flush=True)

    bus = dbus.SystemBus(private=True)
    stream = connect(options.connect) if options.connect else accept_one(options.listen, report)
    with stream:
        begun = time.monotonic()
        session = Session(bus, options.key, "initiator" if options.connect else "responder",
                          options.peer)
        connection = Connection(stream)
        handshake(session, connection)
        took = (time.monotonic() - begun) * 1000
        report("established", f"session established with {options.peer} in {took:.1f} ms",
               peer=options.peer, session=session.path, milliseconds=round(took, 3))
        converse(Conversation(session, connection, options, report), report)
        session.close()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except dbus.DBusException as refused:
        sys.exit(f"module.py: {refused.get_dbus_message()} ({refused.get_dbus_name()})")
    except (OSError, ValueError, SessionEnded) as error:
        sys.exit(f"module.py: {error}")
