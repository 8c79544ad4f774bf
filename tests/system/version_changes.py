#!/usr/bin/python3
"""A client of the bus that prints each Key.VersionChanged that it gets, as {"path", "version", "state"}; before, once it
asked the bus for them, an empty line. dbus-python needs a main loop for signals; libdbus alone does not."""

import ctypes
import json

SYSTEM_BUS, UINT32, STRING, FOREVER = 1, ord("u"), ord("s"), -1
INTERFACE, MEMBER = b"org.keyward.Keyd1.Key", b"VersionChanged"


def load():
    library = ctypes.CDLL("libdbus-1.so.3")
    library.dbus_bus_get_private.restype = library.dbus_connection_pop_message.restype = ctypes.c_void_p
    library.dbus_message_get_path.restype = ctypes.c_char_p
    return library


def main():
    dbus = load()
    error = ctypes.create_string_buffer(64)  # a DBusError
    dbus.dbus_error_init(error)
    connection = ctypes.c_void_p(dbus.dbus_bus_get_private(SYSTEM_BUS, error))
    dbus.dbus_bus_add_match(connection, b"type='signal',interface='" + INTERFACE + b"'", error)
    if dbus.dbus_error_is_set(error):
        raise SystemExit("the bus does not give signals")
    print(flush=True)
    while dbus.dbus_connection_read_write(connection, FOREVER):
        while message := dbus.dbus_connection_pop_message(connection):
            message = ctypes.c_void_p(message)
            version, state = ctypes.c_uint32(), ctypes.c_char_p()
            if dbus.dbus_message_is_signal(message, INTERFACE, MEMBER) and dbus.dbus_message_get_args(
                    message, error, UINT32, ctypes.byref(version), STRING, ctypes.byref(state), 0):
                print(json.dumps({"path": dbus.dbus_message_get_path(message).decode(), "version": version.value,
                                  "state": state.value.decode()}), flush=True)
            dbus.dbus_message_unref(message)


main()
