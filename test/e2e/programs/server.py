"""Answers requests with Python's http.server; see README.md."""

import gzip
import re
import socket
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


def text(path, size):
    line = re.search("e2e-[0-9a-f]{16}", path).group() + " 0123456789 abcdefghijklmnopqrstuvwxyz\n"
    return (line * (size // len(line) + 1))[:size].encode()


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "client"

    def log_message(self, *_):
        pass

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline() not in (b"\r\n", b""):
            pass
        return body

    def answer(self):
        query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        body = self.read_body() or text(self.path, int(query.get("size", 0)))
        self.send_response(int(query.get("status", 200)))
        self.send_header("Content-Type", "text/plain")
        if query.get("gzip"):
            body = gzip.compress(body, mtime=0)
            self.send_header("Content-Encoding", "gzip")
        if not query.get("chunked"):
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(body) // 2
        for part in (body[:half], body[half:]):
            if part:
                self.wfile.write(b"%x;part=1\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = answer


class Server(ThreadingHTTPServer):
    daemon_threads = True


class UnixServer(Server):
    address_family = socket.AF_UNIX

    def server_bind(self):
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0


def main():
    address = sys.argv[1]
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        server = UnixServer("\0" + path[1:] if path.startswith("@") else path, Answer)
        ready = path
    else:
        host, _, port = address.rpartition(":")
        Server.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = Server((host.strip("[]"), int(port)), Answer)
        ready = f"{host}:{server.server_address[1]}"
    if len(sys.argv) > 2:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print("ready", ready, flush=True)
    server.serve_forever()


main()
