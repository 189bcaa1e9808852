# SPDX-License-Identifier: MIT
"""The command line itself, and what `flakehub serve` says and refuses."""

import os
import re
import shutil
import signal
import subprocess

import pytest

from harness import ROOT, fetch, nix
from harness.process import Process, run, wait_for
from harness.registry import FLAKEHUB
from harness.webserver import accepts, free_port

COMMANDS = ("serve", "build", "list", "inspect", "log", "refresh", "run-task",
            "config")


@pytest.mark.parametrize("args,right", [
    ([], "COMMAND"),
    (["frob"], "--help"),
    (["--frob"], "COMMAND"),
    (["--config"], "FILE"),
    (["-x", "list"], "COMMAND"),
    (["list", "x"], "usage: flakehub list"),
    (["list", "--frob"], "usage: flakehub list"),
    (["list", "--names=1"], "usage: flakehub list"),
    (["inspect"], "NAME[:TAG]"),
    (["inspect", "a", "b"], "NAME[:TAG]"),
    (["log"], "NAME[:TAG]"),
    (["config"], "[--check] [--defaults]"),
    (["config", "--check", "--defaults"], "[--check] [--defaults]"),
    (["config", "--check", "x"], "[--check] [--defaults]"),
    (["build"], "NAME"),
    (["serve"], "FLAKE"),
    (["serve", "--port"], "PORT"),
    (["serve", "-p"], "PORT"),
    (["serve", "-p5000x", "a"], "65535"),
    (["serve", "--port=0", "a"], "65535"),
    (["serve", "-dz", "a"], "-z"),
    (["serve", "--debug=1", "a"], "--debug"),
    (["serve", "--config", "x", "a"], "settings"),
    (["serve", "--host=", "a"], "--host"),
    (["serve", ""], "FLAKE"),
])
def test_usage(args, right):
    """One line, with what is right in it."""
    result = run([FLAKEHUB, *args])
    assert result.status == 2, str(result)
    assert result.out == ""
    assert len(result.err.splitlines()) == 1, str(result)
    assert right in result.err, str(result)


@pytest.mark.parametrize("command", COMMANDS)
def test_options_anywhere(command):
    """Before the command's name and after it, long, short and as one word."""
    for args in ([command, "--help"], [command, "-h"], ["--help", command],
                 [command, "x", "--help"], [command, "--help", "--", "-x"]):
        out = run([FLAKEHUB, *args]).ok().out
        assert out.startswith(f"usage: flakehub {command}")


def test_words_after_the_dashes(directory):
    """What follows -- is no option."""
    result = run([FLAKEHUB, "inspect", "--", "--help"],
                 env=settings(directory, ""))
    assert result.status == 2 and "repository name" in result.err


def settings(directory, text):
    file = directory / "flakehub.conf"
    file.write_text(f"cache-dir = {directory}/cache\n{text}")
    return dict(nix.environment(directory), FLAKEHUB_CONFIG=str(file))


def git(folder, *args):
    run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C",
         folder, *args]).ok()


def test_config_order(directory):
    """--config wins over FLAKEHUB_CONFIG."""
    env = settings(directory, "")
    other = directory / "other.conf"
    other.write_text("max-age = 1\n")
    assert run([FLAKEHUB, "config", "--check"], env=env).ok()
    for args in (["--config", other, "config", "--check"],
                 ["config", f"--config={other}", "--check"]):
        result = run([FLAKEHUB, *args], env=env)
        assert result.status == 2 and f"{other}:1: " in result.err


def test_no_password_in_errors(directory):
    env = settings(directory, "[flake]\n"
                   "url = git+https://user:hunter2@127.0.0.1:1/x\n")
    for args in (["list"], ["config", "--check"], ["inspect", "a"],
                 ["build", "a"], ["log", "a"]):
        result = run([FLAKEHUB, *args], env=env)
        assert "hunter2" not in result.out + result.err, args


def test_list_without_a_cache(directory, simple):
    """Before the first pull there is none, and it is not made."""
    env = settings(directory, f"[flake]\nurl = {simple}\n"
                   f"[flake again]\nurl = {simple}\n")
    out = run([FLAKEHUB, "list", "--names"], env=env).ok().out.splitlines()
    assert {"hello", "many", "again/hello", "again/many"} <= set(out)
    assert out == sorted(set(out))
    assert not (directory / "cache").exists()


def test_list_of_a_flake_that_fails(directory, simple):
    """The others are still listed."""
    env = settings(directory, f"[flake]\nurl = {directory}/none\n"
                   f"[flake again]\nurl = {simple}\n")
    result = run([FLAKEHUB, "list", "--names"], env=env)
    assert result.status == 1
    assert len(result.err.splitlines()) == 1, str(result)
    assert "again/hello" in result.out.splitlines()


def test_what_another_flake_left(directory, simple):
    """An image of a flake that the settings no longer name is not shown."""
    env = settings(directory, f"[flake]\nurl = {simple}\n")
    run([FLAKEHUB, "build", "hello"], env=env).ok()
    assert "latest" in run([FLAKEHUB, "list"], env=env).ok().out
    copy = nix.copy_flake(simple, directory / "copy")
    env = settings(directory, f"[flake]\nurl = {copy}\n")
    assert "latest" not in run([FLAKEHUB, "list"], env=env).ok().out
    result = run([FLAKEHUB, "inspect", "hello"], env=env)
    assert result.status == 1 and "settings" in result.err


def test_list_of_a_repository(directory, simple):
    """Whose default branch is not master, which Nix would ask for."""
    flake = nix.copy_flake(simple, directory / "tree")
    git(flake, "init", "-q", "-b", "trunk")
    git(flake, "add", ".")
    git(flake, "commit", "-qm", "x")
    git(directory, "clone", "-q", "--bare", flake, directory / "bare.git")
    env = settings(directory,
                   f"[flake]\nurl = git+file://{directory}/bare.git\n")
    run([FLAKEHUB, "build", "hello"], env=env).ok()
    out = run([FLAKEHUB, "list"], env=env).ok().out
    assert re.search(r"^hello +latest +[0-9a-f]{12} +[0-9a-f]{8} ", out,
                     re.MULTILINE)
    assert re.search(r"^many +-$", out, re.MULTILINE)


def manual_settings():
    """{key: default} as flakehub.conf(5) has them."""
    text = (ROOT / "man/flakehub.conf.5").read_text()
    return dict(re.findall(
        r"^\.It Cm ([a-z-]+) No = Ar .* Pq default: (.*)$", text,
        re.MULTILINE))


def test_manual_of_settings():
    """The manual has every key, with the default of the one table."""
    out = run([FLAKEHUB, "config", "--defaults"]).ok().out
    table = dict(re.findall(r"^#?([a-z-]+) =(?: (.*))?$", out, re.MULTILINE))
    assert len(table) > 20
    manual = manual_settings()
    assert list(manual) == list(table)
    for key, default in table.items():
        assert manual[key] == (default or "none"), key


@pytest.mark.parametrize("page", ("flakehub.1", "flakehub.conf.5",
                                  "flakehub.fcgi.8"))
def test_manual_is_clean(page):
    result = run([nix.which("mandoc"), "-Tlint", "-Wwarning",
                  ROOT / "man" / page])
    assert result.status == 0, str(result)


def test_manual_of_commands():
    """flakehub(1) has every command and every option of its --help."""
    text = (ROOT / "man/flakehub.1").read_text()
    for command in COMMANDS:
        section = re.search(rf"^\.It Cm {command}\b(.*?)(?=^\.It Cm|^\.El)",
                            text, re.MULTILINE | re.DOTALL)
        assert section, command
        help_text = run([FLAKEHUB, command, "--help"]).ok().out
        for option in re.findall(r" --([a-z-]+)", help_text):
            if option in ("help", "version", "config"):
                continue
            assert rf"\-{option}" in section[0], (command, option)


@pytest.fixture
def serve(directory):
    """serve(flake, *args, cwd=…): started, and ended after the test."""
    started = []

    def get(flake, *args, cwd=directory):
        process = Process([FLAKEHUB, "serve", *args, flake],
                          directory / f"log{len(started)}", cwd=cwd,
                          env=nix.environment(directory,
                                              XDG_RUNTIME_DIR=directory))
        started.append(process)
        return process
    yield get
    for process in started:
        process.stop(signal.SIGINT)


def test_serve_git(serve, simple, directory):
    """What git tracks is served, as it is in the work tree; and a flake below
    the root of a repository, with or without changes."""
    flake = nix.copy_flake(simple, directory / "repository" / "sub")
    (flake / "images.nix").rename(flake / "later.nix")
    git(flake.parent, "init", "-q")
    git(flake.parent, "add", ".")
    git(flake.parent, "commit", "-qm", "x")
    (flake / "later.nix").rename(flake / "images.nix")
    port = free_port()
    process = serve(".", "-p", port, "-c", directory / "cache", cwd=flake)

    def get():
        return fetch.follow(port, "GET", "/v2/hello/manifests/latest")[0]
    wait_for("it listens", lambda: process.assert_running()
             and accepts(port), 60)
    assert get().status == 404
    git(flake.parent, "add", ".")
    wait_for("it is looked at again", lambda: get().status == 200, 30, 1)


def test_serve_prints_names(serve, simple, directory):
    port = free_port()
    process = serve(simple, "-p", port, "-c", directory / "cache")
    wait_for("names", lambda: process.assert_running()
             and f"docker pull localhost:{port}/" in process.output(), 60)
    assert "more\n" in process.output()


def test_serve_says_how_to_see_a_log(serve, simple, directory):
    """There are no settings that another command would find by itself."""
    port = free_port()
    process = serve(simple, "-p", port, "-c", directory / "cache")
    words = wait_for("it says so", lambda: process.assert_running() and
                     re.search("log, list and inspect: (.*) COMMAND\n",
                               process.output()), 60)[1].split()
    fetch.follow(port, "GET", "/v2/broken/manifests/latest")
    assert "the builder gives up here" in run([*words, "log", "broken"]).ok().out


def test_serve_debug(serve, simple, directory):
    port = free_port()
    process = serve(simple, "-d", "-p", port, "-c", directory / "cache")
    wait_for("it listens", lambda: process.assert_running()
             and accepts(port), 60)
    fetch.send(port, "GET", "/v2/")
    wait_for("the access log", lambda: "GET /v2/ HTTP" in process.output())


@pytest.mark.parametrize("args,said", [
    (["/dev/null/x"], "/dev/null/x"),
    (["nixpkgs"], "nixpkgs"),
    (["github:x"], "OWNER/REPOSITORY"),
    (["frob:x"], "flake reference"),
    ([".#x"], "#"),
    (["-H", "no-such-host.invalid", "FLAKE"], "no-such-host.invalid"),
    (["-H", "192.0.2.1", "FLAKE"], "192.0.2.1"),
    (["-c", "/dev/null", "FLAKE"], "/dev/null"),
    (["-c", "/dev/null/x", "FLAKE"], "/dev/null/x"),
])
def test_serve_refuses(simple, directory, args, said):
    args = [simple if arg == "FLAKE" else arg for arg in args]
    result = run([FLAKEHUB, "serve", "-p", free_port(), *args],
                 env=nix.environment(directory), cwd=directory)
    assert result.status == 1, str(result)
    assert len(result.err.splitlines()) == 1 and said in result.err


@pytest.mark.parametrize("missing", ("nix", "nix-store"))
def test_serve_without_nix(simple, directory, missing):
    folder = directory / "bin"
    folder.mkdir()
    for name in {"nix", "nix-store", "lighttpd", "git"} - {missing}:
        (folder / name).symlink_to(nix.which(name))
    result = run([FLAKEHUB, "serve", "-p", free_port(), simple],
                 env=nix.environment(directory, path=folder), cwd=directory)
    assert result.status == 1 and f"no program {missing} " in result.err


def test_serve_of_another_users_cache(simple, directory):
    if os.getuid():
        pytest.skip("needs root")
    cache = directory / "cache"
    cache.mkdir()
    os.chown(cache, 65534, 65534)
    result = run([FLAKEHUB, "serve", "-p", free_port(), "-c", cache, simple],
                 env=nix.environment(directory))
    assert result.status == 1 and "belongs to user 65534" in result.err


def test_killed_serve_ends_its_servers(serve, simple, directory):
    port = free_port()
    process = serve(simple, "-p", port, "-c", directory / "cache")
    wait_for("it listens", lambda: process.assert_running()
             and accepts(port), 60)
    process.popen.send_signal(signal.SIGKILL)
    wait_for("lighttpd ends", lambda: not accepts(port), 10)


def test_install_deps_without_apt(directory):
    """It names what is missing, and is content when nothing is."""
    folder = directory / "bin"
    folder.mkdir()
    for name in "sh", "xargs", "echo":
        (folder / name).symlink_to(nix.which(name))
    result = run([ROOT / "scripts/install-deps", "run"],
                 env={"PATH": folder})
    assert result.status == 1, str(result)
    words = result.err.split("please install:")[1].split()
    assert {"cc", "make", "git", "libseccomp", "fcgi"} <= set(words), words
    assert "lighttpd" not in words  # it is in /usr/sbin
    for name in words:
        if shutil.which(name):
            (folder / name).symlink_to(shutil.which(name))
    # What pkg-config and cc start is found by themselves.
    result = run([ROOT / "scripts/install-deps", "run"],
                 env={"PATH": folder}).ok()
    assert result.out + result.err == ""


def test_install_deps_without_root(directory):
    """It says what is missing, and what root is to run."""
    folder = directory / "bin"
    folder.mkdir()
    for name, line in (("dpkg-query", "exit 1"), ("id", "echo 47113"),
                       ("apt-get", "touch $0.ran")):
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    for name in "sh", "tr", "touch":
        (folder / name).symlink_to(nix.which(name))
    result = run([ROOT / "scripts/install-deps", "run"],
                 env={"PATH": folder})
    assert result.status == 1, str(result)
    missing, advice = result.err.splitlines()
    assert {"gcc", "nix-bin", "lighttpd"} <= set(missing.split())
    assert advice.endswith("as root, run "
                           f"{ROOT / 'scripts/install-deps'} run")
    assert not (folder / "apt-get.ran").exists()


def test_install(directory):
    subprocess.run(["make", "-s", "-C", ROOT, "install",
                    f"DESTDIR={directory}", "PREFIX=/usr"], check=True)
    found = {str(p.relative_to(directory)) for p in directory.rglob("*")
             if p.is_file()}
    assert {"usr/bin/flakehub", "usr/bin/flakehub.fcgi",
            "usr/share/man/man1/flakehub.1",
            "usr/share/man/man5/flakehub.conf.5",
            "usr/share/man/man8/flakehub.fcgi.8",
            "usr/share/doc/flakehub/lighttpd.conf.example"} <= found
