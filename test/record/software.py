"""Scenarios between real programs."""
import os
import socket
import threading

from peers import GET, OK, PORT, PATIENCE_SECONDS, Server, connect, read_exactly, read_head, read_to_the_end
from programs import BASE, PROGRAMS, curl, go_server, nginx, node_server, python_server, send_with, token
from scenario import path, scenario

HERE = os.path.dirname(os.path.abspath(__file__))


@scenario()
def curl_get():
    """One GET of curl to a server in Go."""
    with go_server():
        curl(f"{BASE}{token(1)}?size=300&q=a%20b")


@scenario()
def curl_expect_continue():
    """curl sends its body only after 100 Continue; the server echoes it."""
    with go_server():
        curl("-X", "POST", "-H", "Expect: 100-continue", "-H", "Content-Type: text/plain", "--data-binary", "@-",
             f"{BASE}{token(2)}", body=b"0123456789" * 200)


@scenario()
def curl_head():
    """HEAD: the response has a Content-Length and no body; then a GET on the same connection."""
    with nginx():
        curl("-I", f"{BASE}/page.html", "--next", "-s", "-o", "/dev/null", f"{BASE}/page.html")


@scenario()
def curl_chunked_upload():
    """curl uploads in chunks, Go answers in chunks, twice on one connection."""
    with go_server():
        for_each = ["-H", "Transfer-Encoding: chunked", "-H", "Expect:", "--data-binary", "one part of a body"]
        curl(*for_each, f"{BASE}{token(3)}?chunked=1", f"{BASE}{token(4)}?chunked=1", "-o", "/dev/null")


@scenario()
def http10_until_close():
    """HTTP/1.0 of Python's http.server: the body ends with the connection."""
    import http.server

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<p>ends with the connection</p>")

        def log_message(self, *_):
            pass

    def serve(connection):
        Page(connection, ("client", 0), None)
        connection.shutdown(socket.SHUT_WR)

    with Server(serve):
        curl(f"{BASE}/index.html")


@scenario()
def nginx_plain():
    """A file and a missing one, with read and writev."""
    with nginx("sendfile off;"):
        curl(f"{BASE}/page.html", f"{BASE}/none", "-o", "/dev/null")


@scenario()
def nginx_sendfile():
    """A file that sendfile moves past user space: a gap on the server's side, all of it on the client's."""
    with nginx("sendfile on;"):
        curl(f"{BASE}/page.html", f"{BASE}/none", "-o", "/dev/null")


@scenario()
def nginx_gzip():
    """A body compressed on the fly: gzip inside chunks."""
    with nginx("gzip on; gzip_min_length 1;"):
        curl("--compressed", f"{BASE}/page.html")


@scenario()
def nginx_pipelined():
    """Three requests in one call, before the first response."""
    with nginx("sendfile off;"), connect() as connection:
        last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        connection.sendall(GET % b"page.html" + GET % b"none" + last % b"page.html?third")
        assert read_to_the_end(connection).count(b"HTTP/1.1 ") == 3


PLAN = [
    {"Method": "GET", "Path": token(5) + "?size=500"},
    {"Method": "POST", "Path": token(6), "Size": 1000},
    {"Method": "PUT", "Path": token(7) + "?chunked=1&status=201", "Size": 700, "Chunked": True},
    {"Method": "GET", "Path": token(8) + "?size=1900&gzip=1"},
    {"Method": "DELETE", "Path": token(9) + "?status=404"},
]


@scenario()
def go_client_and_server():
    """Go on both sides: five requests on one connection, with lengths, chunks and gzip."""
    with go_server():
        send_with(path("goclient"), plan=PLAN)


@scenario()
def node_client_and_server():
    """Node on both sides: the same five requests."""
    with node_server():
        send_with("node", os.path.join(PROGRAMS, "client.js"), plan=lower_case(PLAN))


@scenario()
def python_client_and_server():
    """Python on both sides: the same five requests."""
    with python_server():
        send_with("/usr/bin/python3", os.path.join(PROGRAMS, "client.py"), plan=lower_case(PLAN))


def lower_case(plan):
    return [{key.lower(): value for key, value in request.items()} for request in plan]


@scenario()
def early_hints():
    """Node announces links with 103 Early Hints before its response to curl."""
    with node_server(os.path.join(HERE, "early_hints.js")):
        curl(f"{BASE}/page")


@scenario()
def connect_tunnel():
    """curl through a CONNECT proxy: the tunnel is opaque between curl and the proxy, plain behind it."""
    def relay(source, sink):
        while some := source.recv(65536):
            sink.sendall(some)
        sink.shutdown(socket.SHUT_WR)

    def serve(connection):
        read_head(connection)
        with connect() as behind:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=relay, args=(behind, connection))
            back.start()
            relay(connection, behind)
            back.join(PATIENCE_SECONDS)

    with go_server(), Server(serve, address=("127.0.0.1", PORT + 1)):
        curl("--proxytunnel", "-x", f"http://127.0.0.1:{PORT + 1}", f"{BASE}{token(10)}?size=100")


@scenario()
def unix_socket():
    """HTTP over a Unix stream socket."""
    with go_server("unix:" + path("server.sock")):
        curl("--unix-socket", path("server.sock"), f"http://localhost{token(11)}?size=100")


@scenario()
def ipv6():
    """HTTP over IPv6."""
    with go_server(f"[::1]:{PORT}"):
        curl("-g", f"http://[::1]:{PORT}{token(12)}?size=100")


@scenario("-budget-kib", "32")
def chunks_beyond_the_budget():
    """A chunked body beyond the copy budget, so that its end is not seen: the next exchange is in doubt, the one
    after it is not."""
    with go_server():
        curl(f"{BASE}{token(13)}?chunked=1&size=150000", f"{BASE}{token(14)}?size=100", "-o", "/dev/null",
             f"{BASE}{token(15)}?size=100", "-o", "/dev/null")


@scenario("-budget-kib", "32")
def bodies_beyond_the_budget():
    """Bodies of known length beyond the copy budget, in both directions; then another request."""
    size = 150_000
    upload = b"POST /large HTTP/1.1\r\nHost: shop.example.test\r\nContent-Length: %d\r\n\r\n" % size + b"u" * size
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size

    def serve(connection):
        read_exactly(connection, len(upload))
        connection.sendall(head + b"d" * size)
        read_head(connection)
        connection.sendall(OK)

    with Server(serve), connect() as connection:
        connection.sendall(upload)
        read_exactly(connection, len(head) + size)
        connection.sendall(GET % b"after")
        read_exactly(connection, len(OK))
