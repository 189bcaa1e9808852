# SPDX-License-Identifier: MIT
"""How the programs are built, what the processes may do, who may write."""

import os
import re
import shutil
import stat

import pytest

from harness import ROOT, nix
from harness.git import Repository
from harness.process import Process, descendants, run, wait_for
from harness.registry import FLAKEHUB, RESPONDER, SANITIZED

from fastcgi import Pending, request_bytes

PLAIN = pytest.mark.skipif(SANITIZED,
                           reason="a build that is not installed")


def status(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f
                    if ":\t" in line)


@PLAIN
@pytest.mark.parametrize("program", [FLAKEHUB, RESPONDER])
def test_flags(program):
    """Position independent, read-only relocations bound at start, stack
    protector, FORTIFY, no executable stack."""
    headers = run(["readelf", "-hlW", program]).ok().out
    dynamic = run(["readelf", "-dW", program]).ok().out
    symbols = run(["readelf", "--dyn-syms", "-W", program]).ok().out
    assert "DYN (Position-Independent Executable file)" in headers
    assert "GNU_RELRO" in headers
    assert re.search(r"GNU_STACK.* RW +0x", headers)
    assert not re.search(r"LOAD.* RWE ", headers)
    assert re.search(r"FLAGS_1.*NOW.*PIE", dynamic)
    assert "__stack_chk_fail" in symbols
    assert re.search(r"__(snprintf|vsnprintf|memcpy|fprintf|printf)_chk",
                     symbols)
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic


@PLAIN
def test_seccomp(make_registry, simple):
    """The responder is confined, and has not gained anything; the keeper,
    which starts builders, is not."""
    registry = make_registry(simple)
    registry.manifest("hello")
    found = {pid: status(pid) for pid, command in
             descendants(registry.process.pid).items()
             if "flakehub.fcgi" in command}
    found[registry.process.pid] = status(registry.process.pid)
    states = sorted((s["Seccomp"], s["NoNewPrivs"]) for s in found.values())
    assert ("2", "1") in states and states[0][0] == "0", found


def test_modes(make_registry, simple, directory):
    """Whatever the umask: the web server's user reads blobs, writes
    nothing, and sees neither mirrors nor locks."""
    old = os.umask(0)
    try:
        registry = make_registry(simple)
        registry.manifest("hello")
    finally:
        os.umask(old)
    for file in [registry.cache, *registry.cache.rglob("*")]:
        found = file.lstat()
        if stat.S_ISLNK(found.st_mode):
            continue
        assert not found.st_mode & 0o022, (file, oct(found.st_mode))
    as_other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    for command, works in (["touch", registry.cache / "x"], False), \
            (["touch", registry.cache / "tmp/x"], False), \
            (["ls", registry.cache / "git"], False), \
            (["ls", registry.cache / "locks"], False), \
            (["ls", registry.cache / "blobs/sha256"], True):
        result = run([*as_other, *command])
        assert (result.status == 0) == works, str(result)


@pytest.mark.parametrize("name", ["tmp", "locks", "blobs/sha256", "git"])
def test_planted_link(make_registry, simple, directory, name):
    """A link that stands for a folder of the cache is not followed."""
    registry = make_registry(simple)
    registry.manifest("hello")
    elsewhere = directory / "elsewhere"
    (registry.cache / name).rename(elsewhere)
    (registry.cache / name).symlink_to(elsewhere)
    result = registry.build("args")
    assert result.status != 0 and str(registry.cache / name) in result.err
    if name.startswith("blobs"):
        reply = registry.send("GET", "/v2/hello/manifests/latest")
        assert reply.status != 200


def test_planted_files(make_registry, simple):
    """Links and FIFOs where records and blobs are read: no answer waits for
    them, nothing behind them is served."""
    registry = make_registry(simple, settings=["max-age = 1h"])
    manifest, _ = registry.manifest("hello")
    digest = manifest["config"]["digest"]
    tag = registry.cache / "repositories/hello/_tags/latest"
    blob = registry.cache / "blobs/sha256" / digest[7:9] / digest[7:]
    blob.unlink()
    blob.symlink_to("/etc/passwd")
    reply = registry.get(f"/v2/hello/blobs/{digest}", seconds=60)
    assert b"root:" not in reply.body
    blob.unlink(missing_ok=True)
    os.mkfifo(blob)
    reply = registry.get(f"/v2/hello/blobs/{digest}", seconds=60)
    assert reply.status != 200 or reply.digest() == digest
    tag.unlink()
    os.mkfifo(tag)
    registry.send("GET", "/v2/hello/manifests/latest", seconds=60)
    tag.unlink(missing_ok=True)
    tag.symlink_to("/etc/passwd")
    registry.send("GET", "/v2/hello/manifests/latest", seconds=60)


# What is replaced at once; no more than hides what is behind it.
PLANTED = [["usage", "clock", "health", "locks/*", "builds/*/*", "git/*.refs"],
           ["repositories/hello/*/*", "layers/*/*"],
           ["blobs/sha256/*/*"], ["version"]]


@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_planted_everywhere(make_registry, directory, fresh, kind):
    """In place of any file of the cache: nobody waits for it, writes to what
    it leads to, or says what is in there."""
    registry = make_registry(f"git+file://{Repository(fresh()).path}",
                             settings=["max-age = 0s", "error-max-age = 0s"])
    registry.manifest("hello")
    registry.send("GET", "/healthz")
    registry.get("/v2/hello/tags/list")
    target = directory / "target"
    target.write_text("xyzzy\n")
    planted = 0
    for patterns in PLANTED:
        for file in [file for pattern in patterns
                     for file in registry.cache.glob(pattern)]:
            file.unlink()
            if kind == "fifo":
                os.mkfifo(file, 0o644)
            else:
                file.symlink_to(target)
            planted += 1
        said = [str(registry.send("GET", "/v2/hello/manifests/latest",
                                  seconds=60))]
        for args in ["build", "hello"], ["log", "hello"], \
                ["inspect", "hello"], ["gc"], ["verify"]:
            said.append(str(registry.flakehub(*args)))
        assert "xyzzy" not in "".join(said), said
        assert target.read_text() == "xyzzy\n"
        for file in [file for pattern in patterns
                     for file in registry.cache.glob(pattern)]:
            if not stat.S_ISREG(file.lstat().st_mode):
                file.unlink()
    assert planted > 12
    registry.manifest("hello")


def test_folders_in_the_way(make_registry, fresh):
    """In place of a tag and its record: the next pull makes these again."""
    registry = make_registry(fresh())
    digest = registry.pull("hello")
    tag = registry.cache / "repositories/hello/_tags/latest"
    record = (registry.cache / "repositories/hello/_manifests" /
              digest.split(":")[1])
    for file in tag, record:
        file.unlink()
        file.mkdir()
    (record / "inside").mkdir()
    assert registry.pull("hello") == digest
    assert tag.is_file() and record.is_file()
    assert [path.name for path in registry.cache.glob("bad/*/*")] == ["inside"]


def test_cache_that_others_write_to(simple, directory):
    cache = directory / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    config = directory / "flakehub.conf"
    config.write_text(f"cache-dir = {cache}\n[flake]\nurl = {simple}\n")
    result = run([FLAKEHUB, "--config", config, "build", "hello"],
                 env=nix.environment(directory))
    assert result.status == 1 and "other users" in result.err, str(result)


@PLAIN
@pytest.mark.skipif(not shutil.which("systemd-socket-activate"),
                    reason="no systemd")
def test_socket_activation(directory, simple):
    """As flakehub.socket does it: started by the first request, with the
    listening socket as standard input."""
    config, path = directory / "flakehub.conf", directory / "socket"
    config.write_text(f"cache-dir = {directory}/cache\n"
                      f"[flake]\nurl = {simple}\n")
    environment = nix.environment(directory)
    process = Process(
        ["systemd-socket-activate", "--inetd", "-l", path,
         *(f"--setenv={name}" for name in environment), RESPONDER,
         "--config", config], directory / "log", env=environment)
    try:
        wait_for("the socket", path.exists)
        assert not (directory / "cache").exists()
        for _ in range(2):
            reply = Pending(path, request_bytes("GET", "/v2/")).reply()
            assert reply.status == 200, str(reply)
        assert (directory / "cache/version").exists()
    finally:
        process.stop()


UNITS = sorted((ROOT / "systemd").glob("flakehub*"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units(unit, directory):
    """systemd takes them as they are. Their programs need not be here."""
    copy = directory / "units"
    copy.mkdir()
    for other in UNITS:
        text = re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", other.read_text(),
                      flags=re.M)
        (copy / other.name).write_text(text)
    result = run(["systemd-analyze", "verify", "--man=no",
                  copy / unit.name])
    assert unit.name not in result.err, result.err


@pytest.mark.parametrize("file", ("systemd/flakehub-gc.service",
                                  "systemd/flakehub.service",
                                  "nix/module.nix"))
def test_units_show_the_boot_id(file):
    """By which gc and builders know that a clock was set."""
    assert not re.search(r"ProcSubset *=", (ROOT / file).read_text())


def system_calls(words):
    """What a SystemCallFilter lets through, its groups laid open."""
    found = set()
    for word in words:
        if word.startswith("@"):
            out = run(["systemd-analyze", "--no-pager", "syscall-filter",
                       word]).ok().out
            found |= system_calls(line.strip() for line in
                                  out.splitlines()[1:]
                                  if line.strip()[:1] not in ("#", ""))
        else:
            found.add(word)
    return found


def test_system_calls_of_the_unit():
    """What the responder confines itself by, and bubblewrap flakes."""
    text = (ROOT / "systemd/flakehub.service").read_text()
    found = system_calls(" ".join(re.findall("^SystemCallFilter=(.*)", text,
                                             re.M)).split())
    assert {"seccomp", "prctl", "landlock_create_ruleset",
            "landlock_restrict_self", "openat2", "mount", "umount2",
            "pivot_root", "unshare", "clone", "setns",
            "capset"} <= found, found


def exposures(name):
    """Of SECURITY.md: {"systemd 252": 3.5} for a unit."""
    text = (ROOT / "SECURITY.md").read_text()
    rows = [re.search(rf"^\| {re.escape(first)} \|(.*)\|$", text, re.M)[1]
            for first in ("unit", f"`{name}`")]
    versions, figures = ([cell.strip() for cell in row.split("|")]
                         for row in rows)
    return dict(zip(versions, map(float, figures), strict=True))


@pytest.mark.parametrize("unit", [unit for unit in UNITS
                                  if unit.suffix == ".service"],
                         ids=lambda unit: unit.name)
def test_exposure(unit):
    """No more than SECURITY.md says, for this systemd or for some."""
    out = run(["systemd-analyze", "security", "--offline=true",
               "--no-pager", unit]).out
    figure = re.search(r"exposure level for \S+: (\d+\.\d)", out)
    said = exposures(unit.name)
    version = re.search(r"systemd \d+",
                        run(["systemd-analyze", "--version"]).ok().out)[0]
    assert figure, out[-2000:]
    if version in said:
        assert float(figure[1]) == said[version], out[-2000:]
    assert float(figure[1]) <= max(said.values()), out[-2000:]
