# SPDX-License-Identifier: MIT
"""A few rounds of what `make torture` does many of. SEED repeats a run."""

import os
import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from torture import faults, kills, powerloss, shim  # noqa: E402

SEED = os.environ.get("SEED", str(random.randrange(1 << 32)))

RUNS = {
    # test_kill.py has more of these.
    "kill-builder": lambda d: kills.by_time(d, SEED, 1, "builder", images=2),
    "kill-builder-at-a-call": lambda d: kills.at_calls(
        d, SEED, 3, shim.BUILDER, images=2),
    "kill-responder-at-a-call": lambda d: kills.at_calls(
        d, SEED, 2, shim.RESPONDER, images=1),
    "kill-nix": lambda d: kills.by_time(d, SEED, 2, "nix", images=1),
    "EIO-in-builder": lambda d: faults.failing_calls(
        d, SEED, 5, "EIO", shim.BUILDER, images=4),
    "EINTR-in-responder": lambda d: faults.failing_calls(
        d, SEED, 3, "EINTR", shim.RESPONDER, images=1),
    "short-in-builder": lambda d: faults.failing_calls(
        d, SEED, 2, "short", shim.BUILDER, images=2),
    "clock": lambda d: faults.clock(d, SEED, 2, images=2),
    "deleted": lambda d: faults.deleted(d, SEED, 2, images=2),
    "power-loss": lambda d: powerloss.power_loss(d, SEED, 6),
}


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.sanitized)
    if name in ("kill-builder-at-a-call", "EIO-in-builder", "clock") else name
    for name in RUNS])
def test_torture(directory, name):
    print(f"SEED={SEED}")
    tally = RUNS[name](directory)
    print(tally)
    complaints = directory / "complaints"
    assert tally.is_clean(), complaints.read_text() if complaints.exists() \
        else str(tally)
    assert tally.rounds, "nothing was done"
