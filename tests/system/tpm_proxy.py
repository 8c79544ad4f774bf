"""Stands between keyd and a software TPM, so that other programs can use the TPM beside keyd, and a test can
see and answer commands. It is no resource manager: programs share the TPM's few slots."""

import os
import pathlib
import socket
import struct
import threading
import time
import traceback

RC_RETRY = 0x922
RC_AUTH_FAIL, RC_BAD_AUTH = 0x08E, 0x0A2  # without the bits that name the parameter
FORMAT_ONE_MASK = 0x0BF


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("the other side has gone")
        data += more
    return data


def read_message(connection):
    """A command or response: tag (2 bytes), size of the whole (4), code (4), the rest."""
    header = read_exactly(connection, 10)
    return header + read_exactly(connection, struct.unpack(">I", header[2:6])[0] - 10)


class TpmProxy:
    """Keeps in `failures` what went wrong beside what a test brings about, for whoever wonders: `story`."""

    def __init__(self, folder, tpm_socket):
        self.path, self.tpm_socket = folder / "tpm.sock", tpm_socket
        self.failures = []
        folder.mkdir(mode=0o755)
        self.tcti = f"swtpm:path={self.path}"
        self.answer = None  # a response code for every command, instead of the TPM's answer
        self.refused = []   # response codes that say that an authorization was wrong
        self.upstream = None
        self.lock = threading.Lock()
        self.listeners = []
        for suffix, serve in (("", self._serve), (".ctrl", self._serve_control)):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self.path) + suffix)
            os.chmod(str(self.path) + suffix, 0o666)
            listener.listen()
            self.listeners.append(listener)
            threading.Thread(target=self._accept, args=(listener, serve), daemon=True).start()

    def close(self):
        for listener in self.listeners:
            listener.close()
        self.disconnect()

    def disconnect(self):
        """Lets the TPM go, as a TPM that is restarted needs it."""
        with self.lock:
            self._drop()

    def _drop(self):
        if self.upstream is not None:
            self.upstream.close()
        self.upstream = None

    def story(self):
        """What went wrong here, and whether the TPM behind it lives."""
        folder = self.tpm_socket.parent
        there = sorted(file.name for file in folder.iterdir()) if folder.exists() else "gone"
        try:
            pid = int((folder / "swtpm.pid").read_text())
            state = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()[:3]
        except (OSError, ValueError) as error:
            state = repr(error)
        return "\n".join([*self.failures, f"now {time.monotonic():.3f}: {folder} holds {there}; "
                          f"the TPM's process: {state}"])

    def _fail(self, where):
        self.failures.append(f"{time.monotonic():.3f} {where}: {traceback.format_exc()}")

    def _accept(self, listener, serve):
        while True:
            try:
                connection, _ = listener.accept()
                threading.Thread(target=self._guard, args=(connection, serve), daemon=True).start()
            except OSError:
                if listener.fileno() >= 0:  # nobody closed it
                    self._fail("accept")
                return
            except RuntimeError:  # no more threads
                self._fail("accept")

    def _guard(self, connection, serve):
        with connection:
            try:
                serve(connection)
            except Exception:  # pylint: disable=broad-exception-caught
                # The client is told by the end of its connection, and whoever asks by the story.
                self._fail(serve.__name__)

    def _serve(self, client):
        while client.recv(1, socket.MSG_PEEK):
            client.sendall(self._ask(read_message(client)))

    def _ask(self, command):
        if self.answer is not None:
            return struct.pack(">HII", 0x8001, 10, self.answer)
        with self.lock:
            try:
                if self.upstream is None:
                    self.upstream = socket.socket(socket.AF_UNIX)
                    self.upstream.connect(str(self.tpm_socket))
                self.upstream.sendall(command)
                response = read_message(self.upstream)
            except OSError:
                self._drop()
                raise
        code = struct.unpack(">I", response[6:10])[0]
        if code & 0x080 and code & FORMAT_ONE_MASK in (RC_AUTH_FAIL, RC_BAD_AUTH):
            self.refused.append(code)
        return response

    def _serve_control(self, client):
        """One request and its answer; both are short."""
        request = client.recv(4096)
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self.tpm_socket) + ".ctrl")
            while request:
                control.sendall(request)
                client.sendall(control.recv(4096))
                request = client.recv(4096)
