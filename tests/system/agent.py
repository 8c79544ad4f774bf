"""A module under a Unix user of its own: does over D-Bus and channels what standard input says.

Each line in is a JSON list [method, arguments...], each line out {"value": ...} or {"error": code}.
Bytes travel as {"hex": "..."}.
"""

import json
import os
import signal
import socket
import sys
import traceback

import dbus
import dbus.lowlevel

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from channel import Channel, ChannelError  # noqa: E402

NAME, ROOT = "org.keyward.Keyd1", "/org/keyward/Keyd1"


class Agent:
    def __init__(self):
        self.bus = None
        self.channels = {}
        self.paths = {}

    def call(self, path, interface, method, *arguments):
        """Any method; what D-Bus gives back, in plain types."""
        if self.bus is None:
            self.bus = dbus.SystemBus(private=True)
        target = self.bus.get_object(NAME, path, introspect=False)
        # Every integer of the interface is a u.
        arguments = [dbus.UInt32(a) if type(a) is int else
                     dbus.Array(a, signature="y") if type(a) is list else a for a in arguments]
        return target.get_dbus_method(method, f"{NAME}.{interface}")(*arguments)

    def manager(self, method, *arguments):
        return self.call(ROOT, "Manager", method, *arguments)

    def property(self, path, interface, name):
        if self.bus is None:
            self.bus = dbus.SystemBus(private=True)
        target = self.bus.get_object(NAME, path, introspect=False)
        return target.Get(f"{NAME}.{interface}", name,
                          dbus_interface="org.freedesktop.DBus.Properties")

    def properties(self, path, interface):
        if self.bus is None:
            self.bus = dbus.SystemBus(private=True)
        target = self.bus.get_object(NAME, path, introspect=False)
        return target.GetAll(f"{NAME}.{interface}",
                             dbus_interface="org.freedesktop.DBus.Properties")

    def admin(self, method, *arguments):
        return self.call(ROOT, "Admin", method, *arguments)

    def bytes_call(self, path, interface, method, *arguments):
        arguments = [dbus.ByteArray(a) if isinstance(a, bytes) else a for a in arguments]
        return self.call(path, interface, method, *arguments)

    def zeros_call(self, path, interface, method, size, before=(), after=()):
        """A call with a byte array of `size` zeros between other arguments."""
        return self.call(path, interface, method, *before, dbus.ByteArray(bytes(size)), *after)

    def options_call(self, count, value):
        """OpenSession with `count` options, each of them `value`: a number, or so many zeros."""
        value = dbus.UInt32(value) if type(value) is int else dbus.ByteArray(bytes(value[0]))
        options = dbus.Dictionary({f"option{i}": value for i in range(count)}, signature="sv")
        return self.manager("OpenSession", "frontend-id", "aico", "initiator", "backend", options)

    def descriptor_call(self, path, interface, method):
        """A call whose one argument is a descriptor."""
        with open(os.devnull, "rb") as file:
            return self.call(path, interface, method, dbus.types.UnixFd(file))

    def start_signatures(self, key, purpose, payload, count):
        """Asks for `count` signatures over D-Bus; waits for none."""
        def ask():
            message = dbus.lowlevel.MethodCallMessage(NAME, f"{ROOT}/key/{key}", f"{NAME}.Key",
                                                      "SignHandshake")
            message.append(purpose, dbus.ByteArray(payload), signature="say")
            return message
        self.manager("ListKeys")
        for _ in range(count):
            self.bus.send_message(ask())
        self.bus.flush()

    def open_session(self, handle, key, role, peer, options=None, protocol="aico"):
        options = dbus.Dictionary({k: dbus.UInt32(v) for k, v in (options or {}).items()},
                                  signature="sv")
        path, fd = self.manager("OpenSession", key, protocol, role, peer, options)
        self.channels[handle] = Channel(fd.take())
        self.paths[handle] = str(path)
        return str(path)

    def open_key(self, handle, key):
        path, fd = self.manager("OpenKey", key)
        self.channels[handle] = Channel(fd.take())
        return str(path)

    def channel(self, handle, method, *arguments):
        return getattr(self.channels[handle], method)(*arguments)

    def flood(self, handle, opcode, body, count, window=32):
        """Sends `count` requests with `window` of them in flight; the answers' statuses."""
        channel, statuses = self.channels[handle], []
        for sent in range(count):
            channel.send(opcode, body)
            if sent >= window:
                statuses.append(channel.receive()[1])
        while len(statuses) < count:
            statuses.append(channel.receive()[1])
        return statuses

    def send_raw(self, handle, data):
        self.channels[handle].socket.send(data)

    def close(self, handle):
        self.channels.pop(handle).socket.close()

    def fork_holder(self, handle):
        """A child that holds a copy of the handle; its process id."""
        ready, tell = os.pipe()
        child = os.fork()
        if child == 0:
            for other in [h for h in self.channels if h != handle]:
                self.channels[other].socket.close()
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.write(tell, b"1")
            signal.pause()
            os._exit(0)
        os.read(ready, 1)
        return child

    def end_holder(self, child):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

    def is_open(self, handle):
        """Whether the channel has not ended yet."""
        channel = self.channels[handle].socket
        channel.setblocking(False)
        try:
            return channel.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        finally:
            channel.settimeout(30)


def plain(value):
    if isinstance(value, dbus.Array) and value.signature == "y":
        return {"hex": bytes(value).hex()}
    if isinstance(value, (bytes, bytearray)):
        return {"hex": bytes(value).hex()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (bool, dbus.Boolean)):
        return bool(value)
    if isinstance(value, int):
        return int(value)
    return value if value is None else str(value)


def main():
    agent = Agent()
    unhex = lambda d: bytes.fromhex(d["hex"]) if set(d) == {"hex"} else d  # noqa: E731
    print(json.dumps({"value": os.getpid()}), flush=True)
    for line in sys.stdin:
        method, *arguments = json.loads(line, object_hook=unhex)
        try:
            answer = {"value": plain(getattr(agent, method)(*arguments))}
        except dbus.DBusException as error:
            answer = {"error": error.get_dbus_name().removeprefix(f"{NAME}.Error."),
                      "message": error.get_dbus_message()}
        except ChannelError as error:
            answer = {"error": error.code, "message": error.message}
        except Exception as error:  # a defect of the agent's own: shown by the test
            answer = {"error": type(error).__name__, "message": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


main()
