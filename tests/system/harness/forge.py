# SPDX-License-Identifier: MIT
"""A stand-in for github, gitlab and sourcehut: git's smart http, and the
archives that Nix asks for."""

import base64
import http.server
import os
import re
import socketserver
import ssl
import subprocess
import threading
import urllib.parse

BACKEND = "/usr/lib/git-core/git-http-backend"

# The path of an archive: the repository's, and the revision.
ARCHIVES = (
    # What Nix 2.8 asks api.HOST for; later ones HOST for /api/v3.
    r"(?:/api/v3)?/repos/(?P<r>[^/]+/[^/]+)/tarball/(?P<rev>[0-9a-f]{40})",
    r"/api/v4/projects/(?P<r>[^/]+)/repository/archive\.tar\.gz"
    r"\?sha=(?P<rev>[0-9a-f]{40})",
    r"/(?P<r>~[^/]+/[^/]+)/archive/(?P<rev>[0-9a-f]{40})\.tar\.gz",
)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def is_allowed(self):
        wanted = self.server.password
        if not wanted:
            return True
        given = self.headers.get("Authorization", "")
        return given == "Basic " + base64.b64encode(wanted.encode()).decode()

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        self.server.requests.append(
            (self.path, self.headers.get("Authorization")))
        if not self.is_allowed():
            self.answer(401, WWW_Authenticate='Basic realm="forge"')
            return
        for pattern in ARCHIVES:
            match = re.fullmatch(pattern, self.path)
            if match:
                self.archive(urllib.parse.unquote(match["r"]), match["rev"])
                return
        self.backend(body)

    do_GET = do_POST = do_HEAD = handle_any

    def archive(self, repository, revision):
        folder = self.server.folder / repository
        done = subprocess.run(
            ["git", "-C", folder, "archive", "--format=tar.gz",
             f"--prefix={folder.name}-{revision}/", revision],
            capture_output=True, check=False)
        if done.returncode:
            self.answer(404, b"no such commit\n")
        else:
            self.answer(200, done.stdout, Content_Type="application/gzip",
                        ETag=f'"{revision}"')

    def backend(self, body):
        path, _, query = self.path.partition("?")
        path = urllib.parse.unquote(path)
        # A forge has them with and without the suffix.
        path = re.sub(r"^(/[^/]+/[^/]+?)(\.git)?(/|$)", r"\1\3", path)
        environment = {
            "PATH": os.environ["PATH"], "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROJECT_ROOT": str(self.server.folder), "PATH_INFO": path,
            "QUERY_STRING": query, "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
        }
        done = subprocess.run([BACKEND], input=body, env=environment,
                              capture_output=True, check=False)
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1)
                      for line in head.decode().split("\r\n") if line)
        status = int(fields.pop("Status", "200").split()[0])
        self.answer(status, rest, **fields)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 50


class Forge:
    """Bare repositories FOLDER/OWNER/NAME, on port 443 of the loopback of a
    network.Network."""

    def __init__(self, folder, network, certificate):
        self.server = network.inside(
            lambda: Server(("127.0.0.1", 443), Handler))
        self.server.folder = folder
        self.server.password = None
        self.server.requests = self.requests = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True,
            do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
