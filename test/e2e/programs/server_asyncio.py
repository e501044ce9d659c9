"""Answers requests with Python's asyncio, whose TLS reads and writes memory; see README.md."""

import asyncio
import re
import ssl
import sys
from urllib.parse import parse_qs, urlsplit


def text(path, size):
    line = re.search("e2e-[0-9a-f]{16}", path).group() + " 0123456789 abcdefghijklmnopqrstuvwxyz\n"
    return (line * (size // len(line) + 1))[:size].encode()


async def read_body(reader, fields):
    if fields.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(fields.get("content-length", 0)))
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return body


def respond(method, target, body):
    query = {k: v[0] for k, v in parse_qs(urlsplit(target).query).items()}
    body = body or text(target, int(query.get("size", 0)))
    head = f"HTTP/1.1 {query.get('status', 200)} Any\r\nContent-Type: text/plain\r\n"
    if query.get("chunked"):
        half = len(body) // 2
        parts = b"".join(b"%x;part=1\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part)
        head, body = head + "Transfer-Encoding: chunked\r\n\r\n", parts + b"0\r\n\r\n"
    elif query.get("status") == "204":
        head, body = head + "\r\n", b""
    else:
        head += f"Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + (b"" if method == "HEAD" else body)


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:])}
            writer.write(respond(method, target, await read_body(reader, fields)))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def main():
    host, _, port = sys.argv[1].rpartition(":")
    context = None
    if len(sys.argv) > 2:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
    server = await asyncio.start_server(serve, host.strip("[]"), int(port), ssl=context)
    print("ready", f"{host}:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
