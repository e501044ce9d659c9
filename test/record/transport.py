"""Scenarios of how bytes are moved, and of how connections begin and end."""
import os
import socket
import struct

from peers import GET, OK, Server, answer, connect, exchange, read_exactly, read_head, read_to_the_end, read_until
from scenario import scenario


@scenario()
def byte_by_byte():
    """Each call moves one byte."""
    def serve(connection):
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += connection.recv(1)
        for byte in OK:
            connection.send(bytes([byte]))
        connection.recv(1)

    with Server(serve), connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in GET % b"slow":
            connection.send(bytes([byte]))
        for _ in OK:
            connection.recv(1)


@scenario()
def vectors():
    """writev and sendmsg from several buffers; readv and recvmsg into several, cut in odd places."""
    body = bytes(ord("a") + i % 26 for i in range(1900))
    head = [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 1900\r\n", b"\r\n"]

    def serve(connection):
        read_head(connection)
        os.writev(connection.fileno(), [*head, body[:300], body[300:]])
        connection.recv(1)

    with Server(serve), connect() as connection:
        connection.sendmsg([b"GET /vector HTTP/1.1\r\n", b"Host: shop.example.test\r\n", b"\r\n"])
        buffers, received = [bytearray(7), bytearray(100), bytearray(400)], 0
        while received < len(b"".join(head)) + len(body):
            received += connection.recvmsg_into(buffers)[0] if received % 2 else os.readv(connection.fileno(), buffers)


@scenario()
def peeking_reader():
    """The server looks at the request with MSG_PEEK before it reads: the bytes count once."""
    def serve(connection):
        connection.recv(4, socket.MSG_PEEK)
        connection.recv(1000, socket.MSG_PEEK)
        answer(OK)(connection)

    with Server(serve):
        exchange(GET % b"peek")


@scenario()
def discarding_reader():
    """The client discards the body with MSG_TRUNC: its size is known, its bytes are not."""
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 1500\r\n\r\n"

    def serve(connection):
        read_head(connection)
        connection.sendall(response)
        connection.sendall(b"z" * 1500)
        read_head(connection)
        connection.sendall(OK)
        connection.recv(1)

    with Server(serve), connect() as connection:
        connection.sendall(GET % b"discarded")
        read_exactly(connection, len(response))
        discarded = 0
        while discarded < 1500:
            discarded += connection.recv_into(bytearray(1500 - discarded), 0, socket.MSG_TRUNC)
        connection.sendall(GET % b"after")
        read_exactly(connection, len(OK))


@scenario()
def half_close():
    """The client ends its direction before the response begins."""
    def serve(connection):
        received = read_to_the_end(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nthat was %d bytes" % len(received))

    with Server(serve), connect() as connection:
        connection.sendall(b"POST /count HTTP/1.0\r\nContent-Length: 5\r\n\r\nabcde")
        connection.shutdown(socket.SHUT_WR)
        read_to_the_end(connection)


@scenario()
def reset_in_a_response():
    """The server resets the connection in the middle of a body."""
    part = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nnot all of it"

    def serve(connection):
        read_head(connection)
        connection.sendall(part)
        connection.recv(1)  # the client has read it: a reset would take it away
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with Server(serve), connect() as connection:
        connection.sendall(GET % b"unlucky")
        read_exactly(connection, len(part))
        connection.sendall(b"G")
        try:
            connection.recv(1)
        except ConnectionResetError:
            pass


@scenario()
def cut_before_the_end_of_chunks():
    """The server closes in order, but before the last chunk: the body has no end."""
    def serve(connection):
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")

    with Server(serve), connect() as connection:
        connection.sendall(GET % b"no-last-chunk")
        read_to_the_end(connection)


@scenario()
def no_response():
    """The server closes without an answer."""
    with Server(read_head), connect() as connection:
        connection.sendall(GET % b"silence")
        connection.recv(1)


@scenario(controls=True)
def still_waiting_at_the_end(recorder):
    """The recording ends while a request waits for its response."""
    recorder.start()
    with Server(read_to_the_end), connect() as connection:
        connection.sendall(GET % b"waiting")
        recorder.stop()


@scenario()
def fork_after_accept():
    """The parent accepts, its child serves."""
    def serve(connection):
        child = os.fork()
        if child == 0:
            answer(OK)(connection)
            os._exit(0)
        os.waitpid(child, 0)

    with Server(serve):
        exchange(GET % b"child")


@scenario(controls=True)
def joined_between_requests(recorder):
    """The connection is open and used before the recorder starts."""
    with Server(answer(OK, OK, OK)), connect() as connection:
        connection.sendall(GET % b"unseen")
        read_exactly(connection, len(OK))
        recorder.start()
        for path in (b"seen", b"seen-too"):
            connection.sendall(GET % path)
            read_exactly(connection, len(OK))


@scenario(controls=True)
def joined_inside_a_body(recorder):
    """The recorder starts in the middle of a response body, of unknown length to it: the next responses are in
    doubt."""
    head, half = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", b"%" * 1000

    def serve(connection):
        read_head(connection)
        connection.sendall(head + half)
        connection.recv(1)
        connection.sendall(half)
        for _ in range(2):
            read_until(connection, b"\r\n\r\n")
            connection.sendall(OK)
        connection.recv(1)

    with Server(serve), connect() as connection:
        connection.sendall(GET % b"begun-before")
        read_exactly(connection, len(head) + len(half))
        recorder.start()
        connection.sendall(b"\n")  # an empty line before a request; the server goes on
        read_exactly(connection, len(half))
        for path in (b"after", b"after-that"):
            connection.sendall(GET % path)
            read_exactly(connection, len(OK))


@scenario(controls=True)
def joined_before_the_response(recorder):
    """The recorder starts between a request and its response: a response without its request."""
    wait, go_on = os.pipe()

    def serve(connection):
        read_head(connection)
        os.read(wait, 1)
        connection.sendall(OK)
        connection.recv(1)

    with Server(serve), connect() as connection:
        connection.sendall(GET % b"unseen")
        recorder.start()
        os.write(go_on, b"!")
        read_exactly(connection, len(OK))
