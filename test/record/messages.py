"""Scenarios of message shapes, also of what is not a message."""
import gzip

from peers import GET, OK, Server, answer, connect, exchange, read_exactly, read_head, read_until
from scenario import scenario


@scenario()
def keep_alive():
    """Three requests on one connection."""
    with Server(answer(OK, OK, OK)):
        exchange(GET % b"first", GET % b"second?q=1&r=%20", GET % b"third")


@scenario()
def pipelined_answers_together():
    """Three requests in three calls; the responses come as one and then two in one call."""
    def serve(connection):
        received = b""
        while received.count(b"\r\n\r\n") < 3:
            received += connection.recv(65536)
        connection.sendall(OK.replace(b"ok", b"r1"))
        connection.sendall(OK.replace(b"ok", b"r2") + OK.replace(b"ok", b"r3"))
        connection.recv(1)

    with Server(serve), connect() as connection:
        for name in (b"1", b"2", b"3"):
            connection.sendall(GET % name)
        read_exactly(connection, 3 * len(OK))


@scenario()
def chunked_with_trailers():
    """Chunks with extensions and trailers in both directions."""
    def serve(connection):
        read_until(connection, b"0\r\nX-Client-Sum: 13\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
        connection.sendall(b"5;part=1\r\nhello\r\n")
        connection.sendall(b"7\r\n, world\r\n")
        connection.sendall(b"0\r\nX-Sum: 12\r\n\r\n")
        connection.recv(1)

    with Server(serve), connect() as connection:
        connection.sendall(b"POST /upload HTTP/1.1\r\nHost: shop.example.test\r\nContent-Type: text/plain\r\n"
                           b"Transfer-Encoding: chunked\r\nTrailer: X-Client-Sum\r\n\r\n")
        for chunk in (b"4\r\none \r\n", b'4;note="two"\r\ntwo \r\n', b"5\r\nthree\r\n", b"0\r\nX-Client-Sum: 13\r\n\r\n"):
            connection.sendall(chunk)
        read_until(connection, b"X-Sum: 12\r\n\r\n")


@scenario()
def gzip_of_known_length():
    """A compressed body with its Content-Length."""
    body = gzip.compress(b'{"items": [' + b'"the same again", ' * 50 + b'"last"]}', mtime=0)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    response = head % len(body) + body
    with Server(answer(response)):
        exchange(GET % b"compressed", size=len(response))


@scenario()
def responses_without_body():
    """Responses that have no body whatever their header fields say: to HEAD, 204 and 304."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"
    empty = b"HTTP/1.1 204 No Content\r\n\r\n"
    same = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"a\"\r\n\r\n"
    with Server(answer(head, empty, same)), connect() as connection:
        for request, response in ((b"HEAD /a", head), (b"DELETE /b", empty), (b"GET /c", same)):
            connection.sendall(request + b" HTTP/1.1\r\nHost: shop.example.test\r\n\r\n")
            read_exactly(connection, len(response))


@scenario()
def upgrade_to_websocket():
    """101 Switching Protocols: the transaction is kept, what follows is opaque."""
    response = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")

    def serve(connection):
        read_head(connection)
        connection.sendall(response)
        read_exactly(connection, 11)
        connection.sendall(b"\x81\x05hello")
        connection.recv(1)

    with Server(serve), connect() as connection:
        connection.sendall(b"GET /chat HTTP/1.1\r\nHost: shop.example.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        read_exactly(connection, len(response))
        connection.sendall(b"\x81\x85\x00\x00\x00\x00hello")
        read_exactly(connection, 7)


@scenario()
def secrets():
    """Canaries in header fields and URLs of both messages; none of them may be in a record."""
    response = (b"HTTP/1.1 302 Found\r\nSet-Cookie: session=CANARY-01; HttpOnly\r\nSet-Cookie: theme=CANARY-02\r\n"
                b"Location: https://user:CANARY-03@bucket.example.test/k?X-Amz-Signature=CANARY-04&X-Amz-Date=20260101\r\n"
                b"Content-Length: 0\r\n\r\n")
    request = (b"GET /k?sig=CANARY-05&se=2026&AWSAccessKeyId=CANARY-06 HTTP/1.1\r\nHost: shop.example.test\r\n"
               b"Authorization: Bearer CANARY-07\r\nCookie: session=CANARY-08\r\nX-API-KEY: CANARY-09\r\n"
               b"Proxy-Authorization: Basic CANARY-10\r\nX-Amz-Security-Token: CANARY-11\r\n"
               b"Referer: http://shop.example.test/from?X-Goog-Signature=CANARY-12\r\n\r\n")
    absolute = (b"GET http://admin:CANARY-13@shop.example.test/absolute?Signature=CANARY-14 HTTP/1.1\r\n"
                b"Host: shop.example.test\r\nX-CSRF-Token:CANARY-15\r\n\r\n")
    with Server(answer(response, response)):
        exchange(request, absolute, size=len(response))


@scenario()
def two_lengths():
    """Content-Length and Transfer-Encoding together: a request that a proxy and a server may frame differently."""
    request = (b"POST /smuggle HTTP/1.1\r\nHost: shop.example.test\r\nContent-Length: 6\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    response = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with Server(answer(response)):
        exchange(request, size=len(response))


@scenario()
def not_http():
    """A mail server speaks first: nothing is recorded of it."""
    def serve(connection):
        connection.sendall(b"220 mail.example.test ready\r\n")
        while connection.recv(100):
            connection.sendall(b"250 ok\r\n")

    with Server(serve), connect() as connection:
        connection.recv(100)
        for line in (b"EHLO me\r\n", b"QUIT\r\n"):
            connection.sendall(line)
            connection.recv(100)


@scenario()
def tls_is_recognised():
    """The first record of a TLS handshake: a connection that cannot be read."""
    hello = bytes.fromhex("16030100b2010000ae0303") + bytes(172)
    with Server(lambda connection: read_exactly(connection, len(hello))), connect() as connection:
        connection.sendall(hello)
        connection.recv(1)
