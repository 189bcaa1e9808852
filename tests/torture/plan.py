# SPDX-License-Identifier: MIT
"""Which faults there are, and how many rounds of each in how many."""

import collections
import functools

from . import faults, kills, load, powerloss, shim

# share: of a thousand rounds; parts: that many registries beside each other.
Fault = collections.namedtuple("Fault", "run share parts")


def _kill(which, share, parts=1, server="lighttpd"):
    return Fault(functools.partial(kills.by_time, which=which, server=server),
                 share, parts)


def _calls(action, program, share):
    return Fault(functools.partial(faults.failing_calls, action=action,
                                   program=program), share, 1)


def _disk(which, share):
    return Fault(functools.partial(faults.bad_disk, which=which), share, 1)


FAULTS = {
    "kill builder": _kill("builder", 150, 2),
    "kill builder, nginx": _kill("builder", 50, 1, "nginx"),
    "kill builder at a call": Fault(
        functools.partial(kills.at_calls, program=shim.BUILDER), 250, 3),
    "kill builder, bwrap": Fault(kills.at_sandbox, 100, 1),
    "kill responder": _kill("responder", 100),
    "kill responder at a call": Fault(
        functools.partial(kills.at_calls, program=shim.RESPONDER), 150, 2),
    "kill keeper": _kill("keeper", 80),
    "kill lighttpd": _kill("web server", 60),
    "kill nginx": _kill("web server", 60, 1, "nginx"),
    "kill nix": _kill("nix", 80),
    "kill nix-daemon": Fault(kills.nix_daemon, 40, 1),
    **{f"builder: {action}": _calls(action, shim.BUILDER, 40)
       for action in faults.ACTIONS},
    **{f"responder: {action}": _calls(action, shim.RESPONDER, 25)
       for action in faults.ACTIONS},
    **{f"disk: {which}": _disk(which, 30) for which in faults.DISKS},
    "clock": Fault(faults.clock, 40, 1),
    "deleted": Fault(faults.deleted, 40, 1),
    "power loss": Fault(powerloss.power_loss, 400, 1),
}

# What many clients do to it; its figures are on standard error.
FAULTS.update({
    f"load: {name}, {server}": Fault(
        functools.partial(bout, server=server), 5, 1)
    for name, bout in load.BOUTS.items() for server in ("lighttpd", "nginx")})


def shares(rounds):
    """(name, rounds) of each process to be started."""
    for name, fault in FAULTS.items():
        each = max(1, round(rounds * fault.share / 1000 / fault.parts))
        for _ in range(fault.parts):
            yield name, each
