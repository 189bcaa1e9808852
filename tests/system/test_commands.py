# SPDX-License-Identifier: MIT
"""The other commands: list, inspect, log, config, --help, --version."""

import json
import subprocess

import pytest

from harness.process import run
from harness.registry import FLAKEHUB

COMMANDS = ("serve", "build", "list", "inspect", "log", "refresh", "run-task",
            "config")
KEYS = """cache-dir systems compression max-layers max-age
    stale-while-revalidate stale-if-error error-max-age refresh-timeout
    build-timeout max-silent-time max-build-log-size max-processes max-builds
    max-queue cache-size record-max-age sandbox-eval eval-memory import-from-derivation sendfile""".split()


@pytest.fixture
def warm(shared_registry):
    registry = shared_registry("lighttpd")
    registry.manifest("hello")
    return registry


def test_version():
    for args in ("--version",), ("build", "--version"):
        out = run([FLAKEHUB, *args]).ok().out
        assert out.startswith("flakehub ") and len(out.splitlines()) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command):
    out = run([FLAKEHUB, command, "--help"]).ok().out
    assert command in out.splitlines()[0]
    assert "\n\n\n" not in out
    assert command in run([FLAKEHUB, "--help"]).ok().out


def test_output_that_is_not_taken():
    """A full disk at the other end is an error."""
    with open("/dev/full", "w", encoding="ascii") as full:
        assert subprocess.run([FLAKEHUB, "--help"], stdout=full,
                              stderr=subprocess.DEVNULL,
                              check=False).returncode != 0


def test_list(warm):
    out = warm.flakehub("list").ok().out
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "hello" in lines and "many" in lines


def test_inspect(warm):
    manifest, reply = warm.manifest("hello")
    out = warm.flakehub("inspect", "hello").ok().out
    assert reply.digest() in out
    for layer in manifest["layers"]:
        assert layer["digest"] in out
    assert "/nix/store/" in out and "/bin/hello" in out
    assert warm.flakehub("inspect", "hello:latest").ok().out == out


def test_inspect_json(warm):
    manifest, reply = warm.manifest("hello")
    text = json.dumps(json.loads(
        warm.flakehub("inspect", "--json", "hello").ok().out))
    for digest in reply.digest(), *(layer["digest"]
                                    for layer in manifest["layers"]):
        assert digest in text


def test_inspect_of_what_is_not_there(warm):
    for name in "nothing-like-it", "hello:no-such-tag":
        result = warm.flakehub("inspect", name)
        assert result.status == 1 and len(result.err.splitlines()) == 1


def test_log_of_what_is_not_there(warm):
    result = warm.flakehub("log", "never-asked-for")
    assert result.status == 1 and len(result.err.splitlines()) == 1


def test_config_defaults(directory):
    out = run([FLAKEHUB, "config", "--defaults"]).ok().out
    for key in KEYS:
        assert f"{key} = " in out, key
    file = directory / "flakehub.conf"
    file.write_text(out)
    run([FLAKEHUB, "--config", file, "config", "--check"]).ok()


@pytest.mark.parametrize("text,line", [
    ("no-such-key = 1\n", 1), ("max-age = 10\n", 1), ("\nmax-age = soon\n", 2),
    ("max-age = 1s\nmax-age = 2s\n", 2), ("[flake\n", 1), ("max-age\n", 1),
    ("[flak]\nurl = x\n", 1), ("compression = lzma\n", 1),
    ("max-layers = 0\n", 1), ("max-layers = 1000\n", 1),
    ("cache-dir = relative\n", 1), ("sendfile = maybe\n", 1),
    ("\0\n", 1), ("[flake]\n[flake]\n", 2)])
def test_config_check(directory, text, line):
    file = directory / "flakehub.conf"
    file.write_text(text)
    for args in ("config", "--check"), ("build", "hello"), ("list",):
        result = run([FLAKEHUB, "--config", file, *args])
        assert result.status == 2, (args, str(result))
        assert f"{file}:{line}: " in result.err, str(result)


def test_config_is_not_there(directory):
    result = run([FLAKEHUB, "--config", directory / "none", "list"])
    assert result.status in (1, 2) and str(directory / "none") in result.err
    assert len(result.err.splitlines()) == 1
