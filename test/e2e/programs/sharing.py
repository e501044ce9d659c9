"""Serves requests over sockets that change hands: sharing.py MODE.

fork      a child serves what its parent accepted
split     the parent reads the request, a child answers it
dup       the head goes through one descriptor, the body through another
pass      another process answers, over a descriptor sent to it (SCM_RIGHTS)
threads   one thread reads, another one writes
reuse     every connection gets the same descriptor number again
inetd     a shell that was executed with the connection as stdin and stdout

Every mode prints "ready ADDRESS" and answers each request with 300 bytes of
its token's text. A connection can carry several requests.
"""

import os
import queue
import re
import signal
import socket
import sys
import threading

FIELDS = "HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n"


def answer(request):
    line = re.search(rb"e2e-[0-9a-f]{16}", request).group().decode() + " 0123456789 abcdefghijklmnopqrstuvwxyz\n"
    return FIELDS.encode(), (line * 300)[:300].encode()


def requests(sock):
    """Yields requests until the client has no more."""
    pending = b""
    while part := sock.recv(65536):
        pending += part
        while b"\r\n\r\n" in pending:
            request, pending = pending.split(b"\r\n\r\n", 1)
            yield request


def serve(sock):
    for request in requests(sock):
        head, body = answer(request)
        sock.sendall(head)
        sock.sendall(body)
    sock.close()


def in_child(work):
    if os.fork() == 0:
        work()
        os._exit(0)


def fork(sock):
    in_child(lambda: serve(sock))
    sock.close()


def split(sock):
    for request in requests(sock):
        in_child(lambda: sock.sendall(b"".join(answer(request))))
    sock.close()


def dup(sock):
    other = socket.socket(fileno=os.dup(sock.fileno()))
    for request in requests(sock):
        head, body = answer(request)
        other.sendall(head)
        sock.sendall(body)
    sock.close()
    other.close()


def passing():
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def worker():
        here.close()
        while True:
            _, descriptors, _, _ = socket.recv_fds(there, 1, 1)
            if not descriptors:
                return
            serve(socket.socket(fileno=descriptors[0]))

    in_child(worker)
    there.close()

    def give(sock):
        socket.send_fds(here, [b"x"], [sock.fileno()])
        sock.close()

    return give


def threads(sock):
    jobs = queue.Queue()

    def write():
        while request := jobs.get():
            sock.sendall(b"".join(answer(request)))
        sock.close()

    writer = threading.Thread(target=write)
    writer.start()
    for request in requests(sock):
        jobs.put(request)
    jobs.put(None)
    writer.join()


SHELL = r"""
while IFS= read -r line; do
  line=${line%?}
  case $line in GET*) token=${line#*/}; token=${token%% *};; '')
    text="$token 0123456789 abcdefghijklmnopqrstuvwxyz
"
    body=$text$text$text$text$text$text
    printf 'HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n%.300s' "$body";;
  esac
done
"""


def inetd(sock):
    def execute():
        os.dup2(sock.fileno(), 0)
        os.dup2(sock.fileno(), 1)
        os.execv("/bin/sh", ["sh", "-c", SHELL])
    in_child(execute)
    sock.close()


def main():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    mode = sys.argv[1]
    serving = passing() if mode == "pass" else {
        "fork": fork, "split": split, "dup": dup, "threads": threads, "reuse": serve, "inetd": inetd,
    }[mode]
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"ready 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        sock, _ = listener.accept()
        serving(sock)


main()
