"""Sends requests with Python's http.client; see README.md."""

import hashlib
import http.client
import json
import re
import sys
from urllib.parse import urlsplit


def text(path, size):
    line = re.search("e2e-[0-9a-f]{16}", path).group() + " 0123456789 abcdefghijklmnopqrstuvwxyz\n"
    return (line * (size // len(line) + 1))[:size].encode()


def chunks(body):
    yield body[:7]
    yield body[7:]


def main():
    base = urlsplit(sys.argv[1])
    kind = http.client.HTTPSConnection if base.scheme == "https" else http.client.HTTPConnection
    connection = kind(base.hostname, base.port)
    results = []
    for r in json.load(sys.stdin):
        body = text(r["path"], r.get("size", 0)) or None
        if r.get("chunked"):
            connection.request(r["method"], r["path"], chunks(body), {"Transfer-Encoding": "chunked"}, encode_chunked=True)
        else:
            connection.request(r["method"], r["path"], body)
        response = connection.getresponse()
        content = response.read()
        results.append({"status": response.status, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    print(json.dumps(results))


main()
