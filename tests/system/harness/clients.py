# SPDX-License-Identifier: MIT
"""docker, podman, skopeo and containerd's ctr, each with daemons and storage
of its own. A client pulls a reference and runs it."""

import itertools
import json
import os
import resource
import shutil
import tempfile

from .process import Process, Result, run, wait_for
from .webserver import program

_numbers = itertools.count(1)


def _limits():
    """podman asks for limits that not every container may set."""
    result = []
    for name in ("nofile", "nproc"):
        _, hard = resource.getrlimit(getattr(resource,
                                             f"RLIMIT_{name.upper()}"))
        hard = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
        result += ["--ulimit", f"{name}={hard}:{hard}"]
    return result


class Docker:
    name = "docker"
    shows_messages = True

    def __init__(self, directory, prefix=()):
        self.host = f"unix://{directory}/d.sock"
        self.config = directory / "config"
        self.config.mkdir()
        (directory / "daemon.json").write_text("{}")
        self.process = Process(
            [*prefix, program("dockerd"), "--data-root", directory / "data",
             "--exec-root", directory / "exec", "-H", self.host,
             "--pidfile", directory / "pid", "--iptables=false",
             "--ip6tables=false", "--bridge=none",
             "--storage-driver=overlay2", "--config-file",
             directory / "daemon.json"],
            directory / "log")
        wait_for("dockerd answers", lambda: self.process.assert_running()
                 and self._docker("version").status == 0, 60, 0.2)

    def _docker(self, *args, **options):
        return run([program("docker"), "--config", self.config,
                    "-H", self.host, *args], **options)

    def pull(self, reference, *args, seconds=900):
        return self._docker("pull", *args, reference, seconds=seconds)

    def login(self, host, user, password):
        return self._docker("login", "-u", user, "-p", password, host)

    def logout(self, host):
        return self._docker("logout", host)

    def run(self, reference, *args):
        return self._docker("run", "--rm", "--network=none", reference, *args)

    def inspect(self, reference):
        """Its image ID, and the diff IDs of its layers."""
        out = self._docker("image", "inspect", reference).ok().out
        image = json.loads(out)[0]
        return image["Id"], image["RootFS"]["Layers"]

    def save(self, reference, file):
        return self._docker("save", "-o", file, reference)

    def load(self, command):
        """What a command line for the shell prints."""
        return run(["sh", "-c", f'{command} | "$@"', "sh",
                    program("docker"), "--config", self.config,
                    "-H", self.host, "load", "-q"], seconds=900)

    def remove(self, reference):
        self._docker("image", "rm", "-f", reference)

    def stop(self):
        self.process.stop(seconds=30)


class Podman:
    name = "podman"
    shows_messages = True

    def __init__(self, directory, prefix=()):
        self.prefix = list(prefix)
        self.root = directory / "root"
        # podman refuses a longer one than 50 characters.
        self.runroot = tempfile.mkdtemp(prefix="podman.")
        config = directory / "containers.conf"
        config.write_text("[containers]\ndefault_ulimits = []\n")
        self.environment = dict(os.environ, CONTAINERS_CONF=str(config),
                                TMPDIR=str(directory))
        self.options = ["--root", self.root,
                        "--runroot", self.runroot,
                        "--tmpdir", directory / "tmp",
                        "--storage-driver=overlay", "--runtime=runc",
                        "--cgroup-manager=cgroupfs",
                        "--events-backend=file", "--log-level=error"]

    def _podman(self, *args, **options):
        return run([*self.prefix, program("podman"), *self.options, *args],
                   env=self.environment, **options)

    def pull(self, reference, *args, seconds=900):
        if "--cert-dir" not in args:
            args = ["--tls-verify=false", *args]
        return self._podman("pull", *args, reference, seconds=seconds)

    def run(self, reference, *args, pull=False):
        """By the container's log: what a short one prints is, now and then,
        not seen by the podman that is attached to it."""
        how = ["--tls-verify=false", "--pull=always", "--quiet"] if pull \
            else ["--pull=never"]
        started = self._podman("run", "--detach", "--log-driver=k8s-file",
                               "--network=none", *how, *_limits(), reference,
                               *args)
        if started.status:
            return started
        container = started.out.split()[-1]
        try:
            status = self._podman("wait", container).ok().out
            log = self._podman("logs", container).ok()
        finally:
            self._podman("rm", "--force", container)
        return Result(started.argv, int(status), log.out, log.err)

    def inspect(self, reference):
        out = self._podman("image", "inspect", reference).ok().out
        image = json.loads(out)[0]
        return "sha256:" + image["Id"], image["RootFS"]["Layers"]

    def remove(self, *references):
        self._podman("image", "rm", "-f", *references)

    def stop(self):
        # It mounts this over itself and leaves it so.
        run(["umount", "--quiet", self.root / "overlay"])
        shutil.rmtree(self.runroot)


class Skopeo:
    """It runs nothing: what it copied is read from its folder."""
    name = "skopeo"
    shows_messages = True

    def __init__(self, directory, prefix=()):
        self.prefix = list(prefix)
        self.directory = directory
        self.copies = {}

    def pull(self, reference, *args, seconds=900):
        target = self.directory / str(next(_numbers))
        self.copies[reference] = target
        how = args or ["--src-tls-verify=false"]
        return run([*self.prefix, program("skopeo"), "copy", *how,
                    f"docker://{reference}", f"dir:{target}"],
                   seconds=seconds)

    run = None

    def inspect(self, reference):
        folder = self.copies[reference]
        manifest = json.loads((folder / "manifest.json").read_text())
        digest = manifest["config"]["digest"]
        config = json.loads((folder / digest.split(":")[1]).read_text())
        return digest, config["rootfs"]["diff_ids"]

    def remove(self, reference):
        run(["rm", "-rf", self.copies.pop(reference)])

    def stop(self):
        pass


CONTAINERD = """version = 2
root = "{dir}/root"
state = "{dir}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{dir}/c.sock"
[ttrpc]
  address = "{dir}/c.sock.ttrpc"
"""


class Containerd:
    name = "ctr"
    # It asks by HEAD first, and there is no message in a HEAD.
    shows_messages = False

    def __init__(self, directory, prefix=()):
        self.prefix = list(prefix)
        self.address = directory / "c.sock"
        file = directory / "config.toml"
        file.write_text(CONTAINERD.format(dir=directory))
        self.process = Process([*prefix, program("containerd"), "-c", file],
                               directory / "log")
        wait_for("containerd answers", lambda: self.process.assert_running()
                 and self._ctr("version").status == 0, 60, 0.2)

    def _ctr(self, *args, **options):
        return run([*self.prefix, program("ctr"), "-a", self.address, *args],
                   **options)

    def pull(self, reference, *args, seconds=900):
        how = args or ["--plain-http"]
        return self._ctr("images", "pull", *how, reference, seconds=seconds)

    def run(self, reference, *args):
        return self._ctr("run", "--rm", reference, f"c{next(_numbers)}", *args)

    def inspect(self, reference):
        def content(digest):
            return json.loads(self._ctr("content", "get", digest).ok().out)
        line = self._ctr("images", "list", f"name=={reference}").ok().out
        manifest = content(line.splitlines()[1].split()[2])
        digest = manifest["config"]["digest"]
        return digest, content(digest)["rootfs"]["diff_ids"]

    def save(self, reference, file):
        return self._ctr("images", "export", file, reference)

    def remove(self, reference):
        self._ctr("images", "rm", "--sync", reference)

    def stop(self):
        self.process.stop(seconds=30)


CLIENTS = {client.name: client
           for client in (Docker, Podman, Skopeo, Containerd)}
