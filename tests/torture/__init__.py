# SPDX-License-Identifier: MIT
"""Faults, injected for real: `make torture` (run.py), and a few rounds of each
in tests/system/test_torture.py."""

import pathlib
import sys

# The system tests' harness.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
