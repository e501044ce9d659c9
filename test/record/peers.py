"""Servers and clients on plain sockets, for what no HTTP library would send."""
import os
import select
import signal
import socket
import sys
import traceback

PORT = 8080
HERE = ("127.0.0.1", PORT)
# No scenario takes a second; who waits longer waits for something that will
# never come, and the recording is wrong.
PATIENCE_SECONDS = 10

GET = b"GET /%s HTTP/1.1\r\nHost: shop.example.test\r\nUser-Agent: scenario/1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"


class Server:
    """A process of its own that accepts a number of connections, runs a
    function with each of them, and ends. Leaving the context waits for it and
    fails when it failed."""

    def __init__(self, serve, connections=1, family=socket.AF_INET, address=HERE):
        self.serve, self.connections = serve, connections
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address)
        self.listener.listen()

    def __enter__(self):
        self.process = os.fork()
        if self.process == 0:
            os._exit(self.run())
        self.listener.close()
        return self

    def run(self):
        signal.alarm(PATIENCE_SECONDS)
        try:
            for _ in range(self.connections):
                connection, _ = self.listener.accept()
                with connection:
                    self.serve(connection)
        except Exception:  # in a forked process: nobody else would tell
            traceback.print_exc()
            return 1
        return 0

    def __exit__(self, kind, *_):
        descriptor = os.pidfd_open(self.process)
        ended, _, _ = select.select([descriptor], [], [], 0 if kind else PATIENCE_SECONDS)
        os.close(descriptor)
        if not ended:
            os.kill(self.process, signal.SIGKILL)
        _, status = os.waitpid(self.process, 0)
        if status and not kind:
            sys.exit(f"the server ended with status {status:#x}")


def connect(address=HERE):
    return socket.create_connection(address)


def read_head(connection):
    """Receives until a header section ends; b"" when nothing comes any more."""
    received = b""
    while b"\r\n\r\n" not in received:
        some = connection.recv(65536)
        if not some:
            break
        received += some
    return received


def read_until(connection, end):
    received = b""
    while not received.endswith(end):
        some = connection.recv(65536)
        assert some, f"{received!r} does not end with {end!r}"
        received += some
    return received


def read_exactly(connection, size):
    received = b""
    while len(received) < size:
        some = connection.recv(size - len(received))
        assert some, f"{len(received)} bytes instead of {size}"
        received += some
    return received


def read_to_the_end(connection):
    received = b""
    while some := connection.recv(65536):
        received += some
    return received


def answer(*responses):
    """Returns what serves one response per request without a body."""
    def serve(connection):
        for response in responses:
            assert read_head(connection), "a request was expected"
            connection.sendall(response)
        connection.recv(1)  # the client ends the connection
    return serve


def exchange(*requests, size=len(OK)):
    """Sends requests, one after the response to the other."""
    with connect() as connection:
        for request in requests:
            connection.sendall(request)
            read_exactly(connection, size)
