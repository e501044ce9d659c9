"""Exchanges one request through each pair of system calls that move bytes.

Reads a JSON list of {"send", "receive", "path", "size"}; for each, a client
process sends a POST with `size` bytes and a server process echoes them, both
with the named calls. Prints "done".
"""

import ctypes
import json
import os
import re
import socket
import sys
import tempfile

libc = ctypes.CDLL(None, use_errno=True)


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32), ("iov", ctypes.POINTER(Iovec)), ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t), ("flags", ctypes.c_int),
    ]


class Mmsghdr(ctypes.Structure):
    _fields_ = [("hdr", Msghdr), ("len", ctypes.c_uint32)]


def vectors(data, parts=5):
    """Cuts data in pieces of odd sizes, an empty one among them."""
    step = max(1, len(data) // parts - 1)
    return [memoryview(b"")] + [memoryview(data)[i:i + step] for i in range(0, len(data), step)]


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def mmsg(buffers):
    """Returns two messages of two vectors each over four writable buffers."""
    array_type = Mmsghdr * 2
    messages = array_type()
    keep = []
    for i in range(2):
        iov = (Iovec * 2)()
        for j in range(2):
            part = buffers[2 * i + j]
            iov[j].base, iov[j].len = ctypes.addressof(part), ctypes.sizeof(part)
        keep.append(iov)
        messages[i].hdr.iov, messages[i].hdr.iovlen = iov, 2
    return messages, keep


def send_mmsg(sock, data):
    quarter = (len(data) + 3) // 4
    parts = [ctypes.create_string_buffer(bytes(data[i * quarter:(i + 1) * quarter]), len(data[i * quarter:(i + 1) * quarter])) for i in range(4)]
    messages, _keep = mmsg(parts)
    check(libc.sendmmsg(sock.fileno(), messages, 2, 0))
    return messages[0].len + messages[1].len


def receive_mmsg(sock, size):
    parts = [ctypes.create_string_buffer(max(1, size // 4)) for _ in range(4)]
    messages, _keep = mmsg(parts)
    MSG_WAITFORONE = 0x10000
    count = check(libc.recvmmsg(sock.fileno(), messages, 2, MSG_WAITFORONE, None))
    out = b""
    for i in range(count):
        left = messages[i].len
        for part in parts[2 * i:2 * i + 2]:
            out += part.raw[:min(left, len(part))]
            left -= min(left, len(part))
    return out


def send_file(sock, data):
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return os.sendfile(sock.fileno(), file.fileno(), 0, len(data))


def send_splice(sock, data):
    reading, writing = os.pipe()
    part = os.write(writing, data[:4096])
    sent = os.splice(reading, sock.fileno(), part)
    os.close(reading)
    os.close(writing)
    return sent


SEND = {
    "write": lambda s, d: os.write(s.fileno(), d),
    "writev": lambda s, d: os.writev(s.fileno(), vectors(d)),
    "send": lambda s, d: s.send(d),
    "send more": lambda s, d: s.send(d, socket.MSG_MORE if len(d) > 1 else 0),
    "sendto": lambda s, d: s.sendto(d, s.getpeername()),
    "sendmsg": lambda s, d: s.sendmsg(vectors(d)),
    "sendmmsg": send_mmsg,
    "sendfile": send_file,
    "splice": send_splice,
}


def receive_into(sock, size):
    buffer = bytearray(size)
    return bytes(buffer[:sock.recv_into(buffer)])


def read_vectors(call):
    def receive(sock, size):
        buffers = [bytearray(b"") , bytearray(max(1, size // 3)), bytearray(1), bytearray(max(1, size - size // 3))]
        count = call(sock, buffers)
        return b"".join(buffers)[:count]
    return receive


def peek(sock, size):
    seen = sock.recv(max(1, size // 2), socket.MSG_PEEK)
    again = sock.recv(size, socket.MSG_PEEK)
    got = sock.recv(size)
    assert got.startswith(seen) and got.startswith(again)
    return got


def peek_message(sock, size):
    sock.recvmsg(size, 0, socket.MSG_PEEK)
    return sock.recvmsg(size)[0]


def discard(sock, size):
    """Throws bytes away: on TCP, MSG_TRUNC moves them without giving them."""
    return b"?" * sock.recv_into(bytearray(size), 0, socket.MSG_TRUNC)


def splice_out(sock, size):
    reading, writing = os.pipe()
    count = os.splice(sock.fileno(), writing, min(size, 4096))
    got = os.read(reading, count) if count else b""
    os.close(reading)
    os.close(writing)
    return got


RECEIVE = {
    "read": lambda s, n: os.read(s.fileno(), n),
    "readv": read_vectors(lambda s, b: os.readv(s.fileno(), b)),
    "recv": lambda s, n: s.recv(n),
    "recv_into": receive_into,
    "recvfrom": lambda s, n: s.recvfrom(n)[0],
    "recvmsg": lambda s, n: s.recvmsg(n, 1024)[0],
    "recvmsg_into": read_vectors(lambda s, b: s.recvmsg_into(b)[0]),
    "recvmmsg": receive_mmsg,
    "peek": peek,
    "peek message": peek_message,
    "wait for all": lambda s, n: s.recv(n, socket.MSG_WAITALL),
    "discard": discard,
    "splice": splice_out,
}


def send_all(sock, how, data):
    while data:
        data = data[SEND[how](sock, data):]


def receive_all(sock, how, size):
    got = b""
    while len(got) < size:
        part = RECEIVE[how](sock, size - len(got))
        assert part, "the peer closed early"
        got += part
    return got


def text(path, size):
    line = re.search("e2e-[0-9a-f]{16}", path).group() + " 0123456789 abcdefghijklmnopqrstuvwxyz\n"
    return (line * (size // len(line) + 1))[:size].encode()


def messages(step):
    body = text(step["path"], step["size"])
    request = f"POST {step['path']} HTTP/1.1\r\nHost: syscalls.test\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    response = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return request, response, body


def run(sock, steps, mine, theirs):
    """Heads go by plain calls for what cannot give or take them."""
    for step in steps:
        request, response, body = messages(step)
        outgoing, incoming = {"client": (request, response), "server": (response, request)}[mine]
        def send():
            if step["send"] in ("sendfile", "splice"):
                sock.sendall(outgoing)
                send_all(sock, step["send"], body)
            else:
                send_all(sock, step["send"], outgoing + body)
        def receive():
            if step["receive"] in ("discard", "splice"):
                receive_all(sock, "read", len(incoming))
                receive_all(sock, step["receive"], len(body))
            else:
                assert receive_all(sock, step["receive"], len(incoming + body)) == incoming + body
        for move in (send, receive) if mine == "client" else (receive, send):
            move()


def main():
    steps = json.load(sys.stdin)
    listener = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if child == 0:
        sock = socket.create_connection(listener.getsockname())
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        run(sock, steps, "client", "server")
        os._exit(0)
    sock, _ = listener.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    run(sock, steps, "server", "client")
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    print("done")


main()
