#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make torture: every fault, many rounds, one table.

run.py [--rounds N] [--seconds N] [--seed N] [--jobs N] [--only WORD]
    [--without WORD] [--keep] [--valgrind]

--rounds is how many kills there are in all, and other faults in proportion;
--seconds how long it may take: rounds that are not begun by then are left
out, and that is said. Everything is in one folder, which goes if nothing was
wrong.

Programs built with a sanitizer (FLAKEHUB_BUILD), or run under valgrind, are
watched: each report of theirs is in the table, and a failure."""

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from torture import options, plan  # noqa: E402
from torture.arena import Tally  # noqa: E402
from harness import watch  # noqa: E402
from harness.process import become_subreaper  # noqa: E402
from harness.registry import BUILD  # noqa: E402

COLUMNS = (("kind", "fault", 36), ("rounds", "rounds", 7),
           ("faults", "injected", 9), ("wrong", "wrong", 6),
           ("lost", "lost", 5), ("locks", "locks", 6),
           ("processes", "left", 5), ("failed", "failed", 7),
           ("reports", "reports", 8))


def is_watched():
    return "--valgrind" in sys.argv or watch.is_sanitized(BUILD)


def row(values):
    columns = COLUMNS if is_watched() else COLUMNS[:-1]
    return "".join(str(value).ljust(width) if number == 0
                   else str(value).rjust(width)
                   for number, (value, (_, _, width)) in
                   enumerate(zip(values, columns))).rstrip()


# What is to be interrupted when this is.
_running = set()


def run_one(name, rounds, seed, directory, end):
    """In a process of its own, which finds what its children leave."""
    directory.mkdir()
    directory.chmod(0o755)
    environment = dict(os.environ, TORTURE_END=str(end))
    if is_watched():
        environment["FLAKEHUB_BUILD"] = str(watch.make(
            directory / f"{BUILD.name}-watched", BUILD,
            "--valgrind" in sys.argv))
    process = subprocess.Popen(
        [sys.executable, __file__, "--one", name, "--rounds", str(rounds),
         "--seed", seed, "--directory", directory],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
        env=environment)
    _running.add(process)
    out, _ = process.communicate()
    _running.discard(process)
    try:
        tally = Tally(**json.loads(out.splitlines()[-1]))
    except (IndexError, ValueError, TypeError):
        tally = Tally(name, failed=1)
    print(f"{time.strftime('%H:%M:%S')} {row(dataclasses.astuple(tally))}",
          flush=True)
    return tally


def one(args):
    become_subreaper()
    tally = plan.FAULTS[args.one].run(args.directory, args.seed, args.rounds)
    print(json.dumps(dataclasses.asdict(tally)))


def complaints(directory):
    for file in sorted(directory.glob("*/complaints")):
        print(f"--- {file}\n{file.read_text(errors='replace')}")


def everything(args, directory):
    shares = [share for share in plan.shares(args.rounds)
              if args.only in share[0]
              and not (args.without and args.without in share[0])]
    end = time.monotonic() + args.seconds
    left_out = []

    def begin(number, name, rounds):
        if time.monotonic() > end:
            left_out.append(f"{rounds} of {name}")
            return None
        tally = run_one(name, rounds, f"{args.seed}.{number}",
                        directory / str(number), end)
        if tally.rounds < rounds and time.monotonic() > end:
            left_out.append(f"{rounds - tally.rounds} of {name}")
        return tally

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        futures = [pool.submit(begin, number, *share)
                   for number, share in enumerate(shares)]
        try:
            tallies = [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in _running:
                process.terminate()
            raise
    tallies = [tally for tally in tallies if tally]
    sums = {}
    for tally in tallies:
        sums.setdefault(tally.kind, Tally(tally.kind)).add(tally)
    total = Tally("in all")
    for tally in tallies:
        total.add(tally)
    complaints(directory)
    print(row([title for _, title, _ in COLUMNS]))
    for tally in [*sums.values(), total]:
        print(row([getattr(tally, name) for name, _, _ in COLUMNS]))
    if left_out:
        print(f"rounds left out after {args.seconds} s: "
              f"{', '.join(left_out)}")
    return total.is_clean() and bool(tallies) and not left_out


def interrupt(*_):
    """SIGINT is ignored by what a shell has put into the background."""
    raise KeyboardInterrupt


def main():
    signal.signal(signal.SIGTERM, interrupt)
    parser = options.parser(rounds=600)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--without", default="")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--valgrind", action="store_true")
    parser.add_argument("--one")
    parser.add_argument("--directory", type=pathlib.Path)
    args = parser.parse_args()
    if args.one:
        one(args)
        return 0
    print(f"TORTURE_SEED={args.seed}", flush=True)
    directory = options.make_folder("torture")
    good = False
    started = time.monotonic()
    try:
        good = everything(args, directory)
    finally:
        print(f"{time.monotonic() - started:.0f} s, seed {args.seed}, "
              f"load {os.getloadavg()[0]:.1f}")
        options.leave_folder(directory, good and not args.keep)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
