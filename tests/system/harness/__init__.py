# SPDX-License-Identifier: MIT
"""What the system tests start, ask and check. One noun, one module."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]
