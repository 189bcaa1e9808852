# SPDX-License-Identifier: MIT
"""flakehub.fcgi until it serves: options, and what is wrong with the world."""

import os
import shutil
import socket
import subprocess

import pytest

from harness.registry import BUILD

PROGRAM = BUILD / "flakehub.fcgi"
VERSION = (BUILD.parent / "VERSION").read_text().strip()


@pytest.fixture
def listener(directory):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(directory / "socket"))
        listening.listen()
        yield listening


@pytest.fixture
def config(directory):
    path = directory / "flakehub.conf"
    path.write_text(f"cache-dir = {directory}/cache\n[flake]\n"
                    f"url = path:{directory}\n")
    return path


def run(*args, program=PROGRAM, stdin=subprocess.DEVNULL, stdout=None, **env):
    """(status, stdout, stderr)"""
    done = subprocess.run(
        [program, *args], stdin=stdin, stdout=stdout or subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=60,
        env={**os.environ, **env})
    return done.returncode, done.stdout, done.stderr


def test_options():
    assert run("--version") == (0, f"flakehub.fcgi {VERSION}\n", "")
    status, out, err = run("-h")
    assert (status, err) == (0, "") and "--config" in out
    for wrong in (["--no-such"], ["-c"], ["more"]):
        status, out, err = run(*wrong)
        assert (status, out) == (2, "") and err.startswith("usage: ")
    with open("/dev/full", "w") as full:
        status, _, err = run("--version", stdout=full)
    assert status == 1 and "cannot write to standard output" in err


def test_no_listener(config):
    for stdin in subprocess.DEVNULL, subprocess.PIPE:
        status, _, err = run("-c", config, stdin=stdin)
        assert status == 1 and "not a listening socket" in err


def test_bad_world(directory, listener, config):
    status, _, err = run("-c", directory / "none", stdin=listener)
    assert status == 1 and "none" in err
    (directory / "cache").write_text("no folder")
    status, _, err = run("-c", config, stdin=listener)
    assert status == 1 and "cache" in err


def test_no_builder(directory, listener, config):
    """The builder's program is FLAKEHUB, else beside ours, else on PATH."""
    status, _, err = run("-c", config, stdin=listener, FLAKEHUB="/none")
    assert status == 1 and "/none: No such file" in err
    alone = directory / "alone" / "flakehub.fcgi"
    alone.parent.mkdir()
    shutil.copy(PROGRAM, alone)
    status, _, err = run("-c", config, stdin=listener, program=alone,
                         FLAKEHUB="", PATH="relative:/none")
    assert status == 1 and "neither beside this one nor on PATH" in err
