# SPDX-License-Identifier: MIT
"""fuzz.py BUILD: run libFuzzer's targets in BUILD/fuzz, and print a table.

What a target finds is in BUILD/fuzz/found/TARGET/, the inputs that it came
upon are in BUILD/fuzz/corpus/TARGET/, where the next run begins. The status
is 1 where anything was found. Environment:

FUZZ_SECONDS  of processor time, for each target (60)
FUZZ_JOBS     targets at the same time (as many as there are cores)
FUZZ_TARGETS  their names, divided by blanks (all)
FUZZ_MERGE=1  afterwards, make of tests/fuzz/corpus/TARGET and what was come
              upon the smallest set of files that reaches as much, and put it
              in tests/fuzz/corpus/TARGET; files named found-* stay
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SEEDS = pathlib.Path("tests/fuzz/corpus")
SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))
JOBS = int(os.environ.get("FUZZ_JOBS") or len(os.sched_getaffinity(0)))
# Larger inputs reach nothing that these do not.
MAX_LEN = {"archive": 65536, "oci": 65536, "decompressor": 16384}
# Of one input, and of the process: far above what any honest one takes.
LIMITS = "-timeout=20", "-rss_limit_mb=2048", "-malloc_limit_mb=1024"


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def largest(target):
    return MAX_LEN.get(target, 4096)


def command(build, target, *more):
    words = [str(build / "fuzz" / f"fuzz_{target}"), *LIMITS,
             f"-max_len={largest(target)}", *more]
    dictionary = SEEDS / f"{target}.dict"
    if dictionary.exists():
        words.append(f"-dict={dictionary}")
    return words


def wait(popen):
    """Until it ends, or has had its time; the seconds it had."""
    spent = 0.0
    while popen.poll() is None:
        try:
            spent = cpu_seconds(popen.pid)
        except (OSError, IndexError):
            pass
        if spent >= SECONDS:
            # libFuzzer's way to be told to finish.
            popen.send_signal(signal.SIGUSR1)
        time.sleep(0.2)
    return spent


def fuzz(build, target):
    corpus = build / "fuzz/corpus" / target
    found = build / "fuzz/found" / target
    for folder in corpus, found:
        folder.mkdir(parents=True, exist_ok=True)
    before = set(found.iterdir())
    log = build / "fuzz" / f"{target}.log"
    with open(log, "wb") as output:
        popen = subprocess.Popen(
            command(build, target, "-print_final_stats=1",
                    f"-artifact_prefix={found}/", corpus, SEEDS / target),
            stdout=output, stderr=output)
        spent = wait(popen)
    text = log.read_text(errors="replace")

    def last(pattern):
        numbers = re.findall(pattern, text)
        return numbers[-1] if numbers else "?"

    findings = len(set(found.iterdir()) - before)
    if popen.returncode and not findings:
        findings = 1
    return (target, f"{spent:.0f}", last(r"number_of_executed_units: (\d+)"),
            last(r"cov: (\d+)"), last(r"corp: (\d+)"), findings)


def merge(build, target):
    seeds = SEEDS / target
    with tempfile.TemporaryDirectory(dir=build / "fuzz") as temporary:
        subprocess.run(
            command(build, target, "-merge=1", temporary, seeds,
                    build / "fuzz/corpus" / target),
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for file in seeds.iterdir():
            if not file.name.startswith(("found-", "seed-")):
                file.unlink()
        kept = {file.read_bytes() for file in seeds.iterdir()}
        for file in pathlib.Path(temporary).iterdir():
            if file.read_bytes() not in kept:
                shutil.copyfile(file, seeds / file.name[:12])


def main():
    build = pathlib.Path(sys.argv[1])
    targets = os.environ.get("FUZZ_TARGETS", "").split() or sorted(
        f.name[5:] for f in (build / "fuzz").glob("fuzz_*") if f.is_file())
    row = "{:<14} {:>8} {:>11} {:>9} {:>7} {:>9}".format
    print(row("target", "seconds", "executions", "coverage", "corpus",
              "findings"), flush=True)
    findings = 0
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for result in pool.map(lambda t: fuzz(build, t), targets):
            print(row(*result), flush=True)
            findings += result[-1]
            if result[-1]:
                print(f"  see {build}/fuzz/{result[0]}.log and "
                      f"{build}/fuzz/found/{result[0]}/", flush=True)
    print(f"{len(targets)} targets, {findings} findings")
    if os.environ.get("FUZZ_MERGE") == "1":
        for target in targets:
            merge(build, target)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
