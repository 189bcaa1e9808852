# SPDX-License-Identifier: MIT
"""What run.py and load.py are told, and the folder that each works in."""

import argparse
import pathlib
import random
import shutil
import sys
import tempfile


def parser(rounds):
    result = argparse.ArgumentParser()
    result.add_argument("--rounds", type=int, default=rounds)
    result.add_argument("--seed", default=str(random.randrange(1 << 32)))
    result.add_argument("--only", default="")
    return result


def make_folder(name):
    """Other users may pass through it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"flakehub-{name}."))
    folder.chmod(0o755)
    return folder


def leave_folder(folder, good):
    """It goes, unless there is something to be seen in it."""
    if good:
        shutil.rmtree(folder)
    else:
        print(f"see {folder}", file=sys.stderr)
