#!/usr/bin/python3
"""What a PKCS#11 token holds, asked of SoftHSM2 itself, past Keyward.

Usage: token_objects.py MODULE LABEL PIN_FILE      (SOFTHSM2_CONF says where the tokens are)
Prints a JSON list with a member for each object: {"class", "id", "label", "value"}; bytes as hex.
"""
import ctypes
import json
import sys

UNAVAILABLE = ctypes.c_ulong(-1).value
SERIAL_SESSION = 4
USER = 1
CLASS, LABEL, VALUE, ID = 0x0, 0x3, 0x11, 0x102
CLASSES = {0: "data", 2: "public", 3: "private", 4: "secret"}


class Attribute(ctypes.Structure):
    _fields_ = [("type", ctypes.c_ulong), ("value", ctypes.c_void_p), ("size", ctypes.c_ulong)]


class Token:
    """A logged-in session on one token."""

    def __init__(self, module, label, pin):
        self.library = ctypes.CDLL(module)
        self.call("C_Initialize", None)
        self.session = ctypes.c_ulong()
        self.call("C_OpenSession", self.slot_of(label), ctypes.c_ulong(SERIAL_SESSION), None, None,
                  ctypes.byref(self.session))
        self.call("C_Login", self.session, ctypes.c_ulong(USER), pin, ctypes.c_ulong(len(pin)))

    def call(self, function, *arguments):
        result = getattr(self.library, function)(*arguments)
        if result != 0:
            raise RuntimeError(f"{function}: {result:#x}")

    def slot_of(self, label):
        slots, count = (ctypes.c_ulong * 16)(), ctypes.c_ulong(16)
        self.call("C_GetSlotList", ctypes.c_ubyte(1), slots, ctypes.byref(count))
        info = ctypes.create_string_buffer(512)  # CK_TOKEN_INFO begins with the label
        for slot in slots[:count.value]:
            self.call("C_GetTokenInfo", ctypes.c_ulong(slot), info)
            if info.raw[:32].rstrip(b" ") == label:
                return ctypes.c_ulong(slot)
        raise RuntimeError("there is no such token")

    def handles(self):
        self.call("C_FindObjectsInit", self.session, None, ctypes.c_ulong(0))
        found, count = (ctypes.c_ulong * 4096)(), ctypes.c_ulong()
        self.call("C_FindObjects", self.session, found, ctypes.c_ulong(4096), ctypes.byref(count))
        self.call("C_FindObjectsFinal", self.session)
        return found[:count.value]

    def attribute(self, handle, kind):
        """None when the object has none, or does not give it out."""
        buffer = ctypes.create_string_buffer(4096)
        wanted = Attribute(kind, ctypes.cast(buffer, ctypes.c_void_p), len(buffer))
        result = self.library.C_GetAttributeValue(self.session, ctypes.c_ulong(handle),
                                                  ctypes.byref(wanted), ctypes.c_ulong(1))
        if result != 0 or wanted.size == UNAVAILABLE:
            return None
        return buffer.raw[:wanted.size]

    def objects(self):
        for handle in self.handles():
            kind = self.attribute(handle, CLASS)
            number = None if kind is None else int.from_bytes(kind, sys.byteorder)
            yield {"class": CLASSES.get(number, str(number)),
                   "id": (self.attribute(handle, ID) or b"").hex(),
                   "label": (self.attribute(handle, LABEL) or b"").decode(errors="replace"),
                   "value": (self.attribute(handle, VALUE) or b"").hex()}


def main():
    module, label, pin_file = sys.argv[1:]
    with open(pin_file, "rb") as file:
        pin = file.read().strip()
    print(json.dumps(list(Token(module, label.encode(), pin).objects())))


main()
