"""Starting and stopping the real programs that scenarios use."""
import contextlib
import json
import os
import subprocess
import time

from peers import HERE, PATIENCE_SECONDS, PORT, connect
from scenario import path

# Those of the end-to-end tests, which README.md there describes.
PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e", "programs")
BASE = f"http://127.0.0.1:{PORT}"


def token(number):
    """Returns a path to which the servers give the text of a token."""
    return f"/e2e-{number:016x}"


@contextlib.contextmanager
def running(*command):
    """Runs a server that prints "ready" when it is."""
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()
        assert line.startswith("ready"), f"{command[0]} said {line!r}"
        yield
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)


def go_server(address=f"127.0.0.1:{PORT}"):
    return running(path("goserver"), address)


def node_server(script=os.path.join(PROGRAMS, "server.js")):
    return running("node", script, f"127.0.0.1:{PORT}")


def python_server():
    return running("/usr/bin/python3", os.path.join(PROGRAMS, "server.py"), f"127.0.0.1:{PORT}")


def send_with(*client, plan):
    """Sends the requests of a plan with one of the clients."""
    done = subprocess.run([*client, BASE], input=json.dumps(plan), text=True, check=True,
                          stdout=subprocess.PIPE, timeout=PATIENCE_SECONDS)
    assert len(json.loads(done.stdout)) == len(plan), done.stdout


def curl(*arguments, body=None):
    subprocess.run(["curl", "-s", "-S", "-o", "/dev/null", *arguments], input=body, check=True, timeout=PATIENCE_SECONDS)


@contextlib.contextmanager
def nginx(directives=""):
    """Runs nginx with a page of 1024 bytes, /page.html."""
    with open(path("page.html"), "w", encoding="ascii") as page:
        page.write("<p>a page of nginx</p>\n" * 44 + "<p>end</p>\n\n")
    with open(path("nginx.conf"), "w", encoding="ascii") as file:
        file.write(f"""daemon off; master_process off; pid {path('nginx.pid')}; error_log {path('error.log')};
events {{ }}
http {{
    access_log off; default_type text/html; server_tokens off; {directives}
    client_body_temp_path {path('b')}; proxy_temp_path {path('p')}; fastcgi_temp_path {path('f')};
    uwsgi_temp_path {path('u')}; scgi_temp_path {path('s')};
    server {{ listen {HERE[0]}:{PORT}; root {path('')}; }}
}}
""")
    server = subprocess.Popen(["nginx", "-c", path("nginx.conf"), "-e", path("error.log")])
    try:
        await_listener(server)
        yield
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)


def await_listener(server):
    """Waits until the server accepts connections: nginx does not say it."""
    for _ in range(int(PATIENCE_SECONDS / 0.02)):
        assert server.poll() is None, "the server ended"
        try:
            connect().close()
            return
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise TimeoutError("the server accepts no connections")
