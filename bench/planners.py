# SPDX-License-Identifier: MIT
"""Planners: a closure (path -> Path) and how many layers there may be, to a
list of lists of paths. The others' are written after what nixpkgs does."""

import collections
import json
import subprocess


def name_and_hash(path):
    return path[44:], path[11:43]


def popularity(closure, layers):
    """nixpkgs until 2024: how often a path is met on all ways down from the
    roots, deeper ones weighing more; the first get a layer each."""
    needed = {other for p in closure.values() for other in p.needs}
    known = {}

    def contest(paths):
        points = collections.Counter()
        for path in paths:
            points[path] += 1
            if path not in known:
                known[path] = contest(closure[path].needs)
            for other, n in known[path].items():
                points[other] += n + 1
        return points

    points = contest(path for path in closure if path not in needed)
    return first_alone(sorted(points, key=lambda path: (
        -points[path], "-".join(name_and_hash(path)))), layers)


def first_alone(paths, layers):
    alone, rest = paths[:layers - 1], paths[layers - 1:]
    return [[path] for path in alone] + ([rest] if rest else [])


def capped(closure, layers):
    """A layer for each path, the largest first; the last has the rest."""
    return first_alone(sorted(closure, key=lambda path: (
        -closure[path].size, name_and_hash(path))), layers)


def reach(start, step):
    """All that is reached from start, itself left out."""
    todo, found = [start], set()
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += step(path)
    return found - {start}


def auto_layer(closure, layers):
    """nixpkgs now: the largest paths, one after the other, become primary;
    paths that the same primaries need share a layer; as long as there are
    layers."""
    users = collections.defaultdict(list)
    for path, p in closure.items():
        for other in p.needs:
            users[other].append(path)
    layer_of = {path: frozenset() for path in closure}
    by_size = sorted(closure, key=lambda path: closure[path].size)
    while by_size:
        primary = by_size.pop()
        below = reach(primary, lambda path: closure[path].needs)
        above = reach(primary, lambda path: users[path])
        new = dict(layer_of)
        new[primary] = frozenset([primary])
        for path in below:
            new[path] -= above
            if not new[path] & below:
                new[path] |= {primary}
        if len(set(new.values())) > layers:
            break
        layer_of = new
    found = collections.defaultdict(list)
    for path, layer in layer_of.items():
        found[layer].append(path)
    return list(found.values())


def flakehub(program):
    def plan(closure, layers):
        text = json.dumps([
            {"path": path, "narSize": p.size, "references": p.needs,
             "narHash": f"sha256:{0:064}", "registrationTime": 1}
            for path, p in closure.items()])
        out = subprocess.run([program, str(layers)], input=text, text=True,
                             stdout=subprocess.PIPE, check=True).stdout
        return [line.split() for line in out.splitlines()]

    return plan
