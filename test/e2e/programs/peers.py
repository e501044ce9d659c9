"""
Fetches the URLs of a JSON list [{"url"}] on stdin from one asyncio event loop,
as many at a time as the argument says, over connections that are kept and
shared, and prints how many were answered.
"""

import asyncio
import collections
import json
import ssl
import sys
from urllib.parse import urlsplit


class Pool:
    """Idle connections by server."""

    def __init__(self):
        self.idle = collections.defaultdict(list)
        self.context = ssl.create_default_context()

    async def fetch(self, url):
        parts = urlsplit(url)
        idle = self.idle[parts.scheme, parts.netloc]
        if idle:
            reader, writer = idle.pop()
        else:
            context = self.context if parts.scheme == "https" else None
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
        writer.write(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        idle.append((reader, writer))

    async def close(self):
        for reader, writer in (pair for idle in self.idle.values() for pair in idle):
            writer.close()
            await writer.wait_closed()


async def main():
    urls = [r["url"] for r in json.load(sys.stdin)]
    pool, answered = Pool(), 0

    async def work():
        nonlocal answered
        while urls:
            await pool.fetch(urls.pop())
            answered += 1

    await asyncio.gather(*(work() for _ in range(int(sys.argv[1]))))
    await pool.close()
    print(answered)


asyncio.run(main())
