# SPDX-License-Identifier: MIT
"""TLS and passwords, with the lines of both example files: what every client
makes of them."""

import base64
import http.client
import pathlib
import shutil
import socket

import pytest

from harness import clients, network, nix, tls
from harness.process import Process, run, wait_for
from harness.registry import Registry
from harness.webserver import PASSWORDS, SERVERS, TLS, accepts, free_port, \
    program

USER, PASSWORD = "alice", "open sesame"
PORTS = {("lighttpd", "private"): 443, ("lighttpd", "public"): 5443,
         ("nginx", "private"): 8443, ("nginx", "public"): 9443}

LINES = {
    "lighttpd": (("server.port := 443", "server.port := {tls}"),
                 ('server.bind := "0.0.0.0"',
                  'server.bind := "{address}"')),
    "nginx": (("listen 443 ssl;", "listen {address}:{tls} ssl;"),),
}


def tls_lines(server, certificate, address, port):
    """The substitutions for TLS, in braces' place what is known here."""
    file, key = certificate
    pairs = LINES[server] + (
        ("/etc/flakehub/tls/registry.pem", str(file)),
        ("/etc/flakehub/tls/registry.key", str(key)))
    return [(old, new.replace("{tls}", str(port))
             .replace("{address}", address)) for old, new in pairs]


def make_htpasswd(file):
    run(["htpasswd", "-b", "-B", "-c", file, USER, PASSWORD]).ok()
    file.chmod(0o644)
    return ("/etc/flakehub/htpasswd", str(file))


class Site:
    """In a network of its own: each web server, with passwords and without,
    over one cache of each. `public` has the flake pub; `private` that and
    priv."""

    def __init__(self, directory, flake):
        self.directory = directory
        self.network = network.Network(directory)
        self.host = self.network.address
        self.authority = tls.Authority(directory / "tls")
        self.certificate = self.authority.issue("site", f"IP:{self.host}")
        for file in self.certificate:
            file.chmod(0o644)
        self.htpasswd = make_htpasswd(directory / "htpasswd")
        # dockerd looks nowhere else.
        self.docker_certificates = []
        self.certificates = directory / "certs.d"
        for port in PORTS.values():
            name = f"{self.host}:{port}" if port != 443 else self.host
            for base in pathlib.Path("/etc/docker/certs.d"), self.certificates:
                (base / name).mkdir(parents=True)
                shutil.copy(self.authority.certificate,
                            base / name / "ca.crt")
            (self.certificates / name / "hosts.toml").write_text(
                f'server = "https://{name}"\n[host."https://{name}"]\n'
                f'  ca = "{self.certificates}/{name}/ca.crt"\n')
            self.docker_certificates.append(
                pathlib.Path("/etc/docker/certs.d") / name)
        self.registries = {}
        try:
            for key in PORTS:
                self.registries[key] = self.start(*key, flake)
        except BaseException:
            self.stop()
            raise

    def start(self, server, kind, flake):
        folder = self.directory / f"{server}-{kind}"
        folder.mkdir()
        port = PORTS[server, kind]
        lines = tls_lines(server, self.certificate, self.host, port)
        words = TLS
        flakes = {"pub": flake}
        settings = []
        if kind == "private":
            lines.append(self.htpasswd)
            words += PASSWORDS
            flakes["priv"] = f"path:{flake}"
            settings.append("max-age = 1s")
        return Registry(
            folder, None, server, settings=settings, flakes=flakes,
            cache=self.directory / f"cache-{server}",
            environment=nix.environment(folder, FLAKEHUB_HOLD_MS=700),
            web={"more": lines, "words": words,
                 "prefix": self.network.prefix,
                 # /healthz may say that it is not well: that is up.
                 "is_up": lambda: self.curl(port, "/nothing").out})

    def curl(self, port, path, *args):
        return run([*self.network.prefix, "curl", "--silent", "--fail-with-body",
                    "--cacert", self.authority.certificate, *args,
                    f"https://{self.host}:{port}{path}"])

    def name(self, server, kind, image):
        port = PORTS[server, kind]
        host = f"{self.host}:{port}" if port != 443 else self.host
        return host, f"{host}/{image}"

    def stop(self):
        for registry in self.registries.values():
            registry.stop()
        for folder in self.docker_certificates:
            shutil.rmtree(folder, ignore_errors=True)
        self.network.stop()


@pytest.fixture(scope="module")
def site(session_directory, of_the_session, simple):
    folder = session_directory("site")
    started = []
    flake = nix.copy_flake(simple, folder / "flake", "site", 3)
    site = Site(folder, flake)
    of_the_session(site.network.process)
    for registry in site.registries.values():
        of_the_session(registry.process)
        of_the_session(registry.web.process)

    def client(name):
        found = [c for c in started if c.name == name]
        if found:
            return found[0]
        path = session_directory(f"site-{name}")
        made = clients.CLIENTS[name](path, prefix=site.network.prefix)
        if hasattr(made, "process"):
            of_the_session(made.process)
        started.append(made)
        return made

    site.client = client
    yield site
    for one in started:
        one.stop()
    site.stop()


def pull(site, name, server, kind, image, password=PASSWORD):
    """(the client, the reference, the result), with a password or without."""
    client = site.client(name)
    host, reference = site.name(server, kind, image)
    reference += ":latest"
    folder = site.certificates / host
    user = f"{USER}:{password}"
    if name == "docker":
        if password:
            login = client.login(host, USER, password)
            if login.status:
                return client, reference, login
        result = client.pull(reference)
        client.logout(host)
    elif name == "podman":
        args = ["--cert-dir", folder] + (["--creds", user] if password else [])
        result = client.pull(reference, *args)
    elif name == "skopeo":
        args = ["--src-cert-dir", folder] + (
            ["--src-creds", user] if password else [])
        result = client.pull(reference, *args)
    else:
        args = ["--hosts-dir", site.certificates] + (
            ["--user", user] if password else [])
        result = client.pull(reference, *args)
    return client, reference, result


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", clients.CLIENTS)
def test_pull(site, name, server):
    """With the password, through the hold's 307s; not without it, nor with a
    wrong one; from the public one with none."""
    for password in None, "wrong":
        _, _, result = pull(site, name, server, "private", "priv/slow",
                            password)
        assert result.status, str(result)
        said = (result.out + result.err).lower()
        assert any(word in said for word in (
            "unauthorized", "401", "authentication required",
            "no basic auth")), said
    client, reference, result = pull(site, name, server, "private",
                                     "priv/slow")
    result.ok()
    if client.run:
        assert client.run(reference).ok().out.startswith("Hello from ")
    client.remove(reference)
    client, reference, result = pull(site, name, server, "public",
                                     "pub/hello", None)
    result.ok()
    client.remove(reference)
    log = (site.directory / f"{server}-public/web/access.log").read_text()
    assert USER not in log


@pytest.mark.parametrize("server", SERVERS)
def test_what_is_protected(site, server):
    """Everything below /v2/, /v2/ itself included; not /healthz."""
    port = PORTS[server, "private"]
    image = "/v2/priv/hello/manifests/latest"
    user = ["--user", f"{USER}:{PASSWORD}"]
    site.curl(port, "/healthz").ok()
    for path in ("/v2/", image, "/v2/_catalog", "/v2/priv/hello/tags/list",
                 "/v2/pub/hello/manifests/latest", "//v2/", "/v2"):
        result = site.curl(port, path, "--include")
        assert " 401 " in result.out.splitlines()[0] or \
            path in ("/v2", "//v2/") and result.out.split()[1] in (
                "301", "400", "404"), result.out
        if " 401 " in result.out:
            assert "www-authenticate: basic realm=" in result.out.lower()
    site.curl(port, "/v2/", *user).ok()
    site.curl(port, image, "--location", *user).ok()
    # The path of nginx's own location is nobody's.
    assert site.curl(port, "/_blobs/", *user).status


@pytest.mark.parametrize("server", SERVERS)
def test_digest_is_not_served_by_the_other(site, server):
    """Over one cache: what only the private one's settings name."""
    private, public = (PORTS[server, kind] for kind in ("private", "public"))
    user = ["--user", f"{USER}:{PASSWORD}", "--location"]
    out = site.curl(private, "/v2/priv/args/manifests/latest", "--include",
                    *user).ok().out
    digest = [line.split()[1] for line in out.splitlines()
              if line.lower().startswith("docker-content-digest:")][-1]
    path = f"/v2/priv/args/manifests/{digest}"
    site.curl(private, path, *user).ok()
    for path in (path, "/v2/priv/args/manifests/latest",
                 f"/v2/pub/args/manifests/{digest}",
                 f"/v2/pub/hello/manifests/{digest}",
                 f"/v2/priv/args/blobs/{digest}",
                 f"/v2/pub/args/blobs/{digest}"):
        result = site.curl(public, path, "--include")
        assert " 404 " in result.out.splitlines()[0], (path, result.out)
    names = site.curl(public, "/v2/_catalog", "--location").ok().out
    assert "priv" not in names and "pub/hello" in names


PROXY = """daemon off;
pid {dir}/pid;
error_log {dir}/error.log;
worker_processes 1;
events {{ }}
http {{
	access_log off;
	client_body_temp_path {dir}/body;
	proxy_temp_path {dir}/proxy;
	fastcgi_temp_path {dir}/fastcgi;
	scgi_temp_path {dir}/scgi;
	uwsgi_temp_path {dir}/uwsgi;
	server {{
		listen 127.0.0.1:{port} ssl;
		ssl_certificate {file};
		ssl_certificate_key {key};
		location / {{
			proxy_pass http://127.0.0.1:{backend};
			proxy_read_timeout 3660s;
		}}
	}}
}}
"""


@pytest.fixture
def proxy(directory):
    """proxy(registry): the port of a TLS proxy before it, and what trusts
    it."""
    started = []

    def start(registry):
        folder = directory / "proxy"
        folder.mkdir()
        folder.chmod(0o777)
        authority = tls.Authority(directory / "tls")
        file, key = authority.issue("proxy", "IP:127.0.0.1")
        port = free_port()
        conf = folder / "nginx.conf"
        conf.write_text(PROXY.format(dir=folder, port=port, file=file,
                                     key=key, backend=registry.port))
        started.append(Process([program("nginx"), "-c", conf, "-p", folder,
                                "-e", folder / "error.log"],
                               folder / "out"))
        wait_for("the proxy", lambda: started[0].assert_running()
                 and accepts(port))
        return port, authority
    yield start
    for process in started:
        process.stop()


@pytest.mark.parametrize("server", SERVERS)
def test_behind_a_tls_proxy(make_registry, proxy, fresh, directory, server):
    """The hold's redirects lead back through the proxy, passwords and all."""
    registry = make_registry(
        fresh(seconds=4), server,
        environment=nix.environment(directory, FLAKEHUB_HOLD_MS=700),
        web={"words": PASSWORDS,
             "more": [make_htpasswd(directory / "htpasswd")]})
    port, authority = proxy(registry)
    user = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    path, hops = "/v2/slow/manifests/latest", 0
    while True:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, context=authority.client(), timeout=60)
        connection.request("GET", path, headers={
            "Authorization": f"Basic {user}"})
        reply = connection.getresponse()
        body = reply.read()
        connection.close()
        if reply.status != 307:
            break
        path = reply.headers["Location"]
        assert path.startswith("/v2/"), path
        hops += 1
        assert hops < 10
    assert reply.status == 200, body
    assert hops >= 1
    # A Go client does the same.
    certificates = directory / "certs"
    certificates.mkdir()
    shutil.copy(authority.certificate, certificates / "ca.crt")
    run(["skopeo", "copy", "--src-cert-dir", certificates, "--src-creds",
         f"{USER}:{PASSWORD}",
         f"docker://127.0.0.1:{port}/slow:latest",
         f"dir:{directory}/copy"]).ok()


def test_examples_listen_on_loopback(make_registry, simple):
    """As they stand they are no registry for everybody."""
    for server in SERVERS:
        registry = make_registry(simple, server)
        with socket.socket() as s:
            s.settimeout(2)
            address = run(["hostname", "-I"]).out.split()
            if address:
                assert s.connect_ex((address[0], registry.port)) != 0
