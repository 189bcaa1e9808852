# SPDX-License-Identifier: MIT
"""Programs that are watched: by the sanitizers that they were built with, or
by valgrind. What these have to say goes into files and nowhere else, since the
standard error of a builder is the builder's log, or nobody's, and what a
process has in its environment its children have not.

A watched build is a folder for FLAKEHUB_BUILD, made by `tests/watch`: scripts
by the programs' names, and `reports/`, of what was found. Another build has
no reports."""

import os
import pathlib
import re
import shlex

from . import ROOT
from .process import run

PROGRAMS = ("flakehub", "flakehub.fcgi")

# The options may be there; the shim of tests/torture may be preloaded.
SANITIZERS = """ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0"
export ASAN_OPTIONS="$ASAN_OPTIONS:log_path={reports}/ASAN"
export TSAN_OPTIONS="$TSAN_OPTIONS:log_path={reports}/TSAN"
export UBSAN_REPORTS={reports}/UBSAN
export LD_PRELOAD="$LD_PRELOAD:{folder}/ubsan.so"
"""

# Debian's `valgrind` is a script that loses our name. Those that are killed
# would leave vgdb's pipes in /tmp.
VALGRIND = ("/usr/bin/valgrind.bin", "--quiet", "--vgdb=no",
            "--leak-check=full", "--show-leak-kinds=definite,indirect",
            "--errors-for-leak-kinds=definite,indirect", "--error-exitcode=9")

# It knows no openat2(2) and pidfd_open(2), and says so at each.
NO_ERROR = re.compile(r"^--\d+-- .*\n", re.M)

SCRIPT = """#!/bin/bash
export FLAKEHUB=${{FLAKEHUB-{folder}/flakehub}}
{exports}exec -a "$0" {command} "$@"
"""


def make(folder, build, valgrind=False):
    """Make such a folder of another build."""
    folder, build = pathlib.Path(folder), ROOT / build
    reports = folder / "reports"
    reports.mkdir(parents=True, exist_ok=True)
    # Some of them run as another user.
    reports.chmod(0o1777)
    if not valgrind:
        run([os.environ.get("CC", "cc"), "-O1", "-Wall", "-Werror", "-shared",
             "-fPIC", "-o", folder / "ubsan.so",
             ROOT / "tests/torture/ubsan.c"]).ok()
    for name in PROGRAMS:
        command = [str(build / name)]
        if valgrind:
            command = [*VALGRIND, f"--log-file={reports}/%p", *command]
        script = folder / name
        script.write_text(SCRIPT.format(
            folder=folder, command=shlex.join(command),
            exports="" if valgrind else SANITIZERS.format(
                folder=folder, reports=reports)))
        script.chmod(0o755)
    return folder


def is_sanitized(build):
    return any(word in build.name for word in ("address", "thread"))


def take_reports(folder):
    """What was found and not taken yet. Who takes a report has it alone."""
    found = []
    for file in sorted((folder / "reports").glob("*")):
        taken = folder / "taken" / file.name
        try:
            text = NO_ERROR.sub("", file.read_text(errors="replace"))
            if not text:
                continue
            taken.parent.mkdir(exist_ok=True)
            file.rename(taken)
        except FileNotFoundError:
            continue
        found.append(f"{taken}\n{text}")
    return found
