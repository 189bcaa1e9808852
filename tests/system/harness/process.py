# SPDX-License-Identifier: MIT
"""Processes: started in a group of their own, ended by their id.

The test program is a child subreaper, so that whatever its children leave
behind becomes its child, and is found."""

import ctypes
import os
import re
import signal
import subprocess
import time

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def wait_for(what, condition, seconds=10, pause=0.02):
    """Wait until condition() is true, and return what it returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(pause)


def table():
    """{pid: (parent, state, command)} of all processes."""
    result = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as f:
                stat = f.read().decode(errors="replace")
            with open(f"/proc/{name}/cmdline", "rb") as f:
                line = f.read().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        head, _, rest = stat.rpartition(")")
        fields = rest.split()
        result[int(name)] = (int(fields[1]), fields[0],
                             line.strip() or head.split("(", 1)[1])
    return result


def descendants(of=None, without=()):
    """{pid: command} of the living processes below one, this by default.

    Those in `without` are left out, and all below them."""
    processes = table()
    children = {}
    for pid, (parent, _, _) in processes.items():
        children.setdefault(parent, []).append(pid)
    result = {}
    todo = list(children.get(of or os.getpid(), []))
    while todo:
        pid = todo.pop()
        if pid in without:
            continue
        _, state, command = processes[pid]
        if state not in "ZX":
            result[pid] = command
        todo.extend(children.get(pid, []))
    return result


def is_alive(pid):
    return table().get(pid, (0, "Z", ""))[1] not in "ZX"


def rss(pid):
    """Its resident memory, in bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) * 1024


def is_ending(pid):
    """Has it been killed, though it may still be there?"""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rpartition(b")")[2].split()
        with open(f"/proc/{pid}/status", "rb") as f:
            pending = re.findall(rb"(?:Sig|Shd)Pnd:\s*([0-9a-f]+)", f.read())
    except (FileNotFoundError, ProcessLookupError):
        return True
    # PF_EXITING of the kernel's
    return bool(fields[0] in b"ZX" or int(fields[6]) & 4 or any(
        int(mask, 16) >> (signal.SIGKILL - 1) & 1 for mask in pending))


def kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Process:
    """A process that serves, with its output in a file."""

    def __init__(self, argv, log, **options):
        self.argv = [str(arg) for arg in argv]
        self.log = log
        with open(log, "ab") as f:
            self.popen = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                start_new_session=True, **options)
        self.pid = self.popen.pid

    def output(self):
        return self.log.read_text(errors="replace")

    def is_running(self):
        return self.popen.poll() is None

    def assert_running(self):
        assert self.is_running(), \
            f"{self.argv} ended with {self.popen.returncode}:\n{self.output()}"
        return True

    def signal_group(self, number):
        """Signal what is left of its group; not another's of that id."""
        ours = descendants()
        for pid in ours:
            try:
                if os.getpgid(pid) == self.pid:
                    os.kill(pid, number)
            except ProcessLookupError:
                pass

    def stop(self, number=signal.SIGTERM, seconds=10):
        """Ask it to end, then end its whole group; returns its status."""
        if self.is_running():
            self.popen.send_signal(number)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        self.signal_group(signal.SIGKILL)
        return self.popen.wait()


class Result:
    def __init__(self, argv, status, out, err):
        self.argv = argv
        self.status = status
        self.out = out
        self.err = err

    def __str__(self):
        return (f"{' '.join(self.argv)}\nexit status {self.status}\n"
                f"--- stdout\n{self.out}\n--- stderr\n{self.err}")

    def ok(self):
        assert self.status == 0, str(self)
        return self


def run(argv, seconds=300, **options):
    """Run a command to its end, or for so long at most."""
    argv = [str(arg) for arg in argv]
    options.setdefault("stdin", subprocess.DEVNULL)
    popen = subprocess.Popen(argv, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True,
                             errors="replace", start_new_session=True,
                             **options)
    try:
        out, err = popen.communicate(timeout=seconds)
    except BaseException as e:
        os.killpg(popen.pid, signal.SIGKILL)
        out, err = popen.communicate()
        if isinstance(e, subprocess.TimeoutExpired):
            raise AssertionError(f"not within {seconds} s: "
                                 + str(Result(argv, "-", out, err))) from e
        raise
    return Result(argv, popen.returncode, out, err)
