"""Sends requests with Python's asyncio, whose TLS reads and writes memory; see README.md."""

import asyncio
import hashlib
import json
import re
import ssl
import sys
from urllib.parse import urlsplit


def text(path, size):
    line = re.search("e2e-[0-9a-f]{16}", path).group() + " 0123456789 abcdefghijklmnopqrstuvwxyz\n"
    return (line * (size // len(line) + 1))[:size].encode()


def encode(base, r):
    size = r.get("size", 0)
    body = text(r["path"], size)
    head = f"{r['method']} {r['path']} HTTP/1.1\r\nHost: {base.netloc}\r\n".encode()
    if r.get("chunked"):
        parts = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:]) if part)
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"
    return head + (b"Content-Length: %d\r\n\r\n" % size if size else b"\r\n") + body


async def receive(reader, method):
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split()[1])
    fields = {k.strip().lower(): v.strip() for k, _, v in (line.partition(b":") for line in head.split(b"\r\n")[1:])}
    if method == "HEAD" or status == 204:
        return status, b""
    if fields.get(b"transfer-encoding") != b"chunked":
        return status, await reader.readexactly(int(fields.get(b"content-length", 0)))
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return status, body


async def main():
    base = urlsplit(sys.argv[1])
    context = ssl.create_default_context() if base.scheme == "https" else None
    reader, writer = await asyncio.open_connection(base.hostname, base.port, ssl=context)
    results = []
    for r in json.load(sys.stdin):
        writer.write(encode(base, r))
        _, (status, content) = await asyncio.gather(writer.drain(), receive(reader, r["method"]))
        results.append({"status": status, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    print(json.dumps(results))
    writer.close()
    await writer.wait_closed()


asyncio.run(main())
