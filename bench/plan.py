# SPDX-License-Identifier: MIT
"""plan.py PROGRAM [--layers N] [--trials N]

What a node that has an image's previous revision fetches of the next one, by
different planners, beside the bytes of the store paths that changed, which
no planner can go below. The closure is that of tests/fixtures' bench as its
Debian packages were in 2026 (bench/closure.dump); its revisions are made up
(history.py). --trials: the same for random changes of the first revision."""

import argparse
import collections
import pathlib

import planners
from history import KINDS, Revision, history, read_dump, trials

HERE = pathlib.Path(__file__).parent
# These are the image that the closure was taken of, not packages.
IMAGE = {"bench-conf.json", "packages", "versions"}
MB = 1e6


def size(closure, layer):
    return sum(closure[path].size for path in layer)


def fetched(before, layers, closure):
    have = {frozenset(layer) for layer in before}
    return sum(size(closure, layer) for layer in layers
               if frozenset(layer) not in have)


def changed(before, closure):
    return sum(p.size for path, p in closure.items() if path not in before)


def check(layers, closure, limit):
    paths = [path for layer in layers for path in layer]
    if sorted(paths) != sorted(closure) or len(layers) > limit:
        raise ValueError("not each path in one layer")


def row(name, numbers, form="{:10.1f}", width=30):
    print(f"{name:{width}}" + "".join(form.format(n) for n in numbers))


def head(title, rows):
    print(f"\n{title}")
    print(f"{'':30}{'changed':>10}" +
          "".join(f"{name:>11}" for name in rows))


def print_history(title, first, plans, limit):
    head(title + ": MB fetched", plans)
    total, counts, largest = collections.Counter(), {}, {}
    smallest, before, had = {}, {}, {}
    for text, revision in history(first):
        closure = revision.closure()
        numbers = [changed(before, closure)]
        for name, plan in plans.items():
            layers = plan(closure, limit)
            check(layers, closure, limit)
            numbers.append(fetched(had.get(name, []), layers, closure))
            had[name] = layers
            sizes = [size(closure, layer) for layer in layers]
            counts.setdefault(name, len(layers))
            largest[name] = max(largest.get(name, 0), *sizes)
            smallest[name] = min(smallest.get(name, 1 << 62), *sizes)
        row(text, [n / MB for n in numbers], "{:11.1f}", 29)
        if before:
            total.update(dict(zip(["changed", *plans], numbers)))
        before = closure
    row("sum without the first", [total[name] / MB for name in
                                  ["changed", *plans]], "{:11.1f}", 29)
    row("more than changed", [(total[name] - total["changed"]) / MB
                              for name in ["changed", *plans]],
        "{:11.1f}", 29)
    print(f"{'layers, first revision':40}" +
          "".join(f"{counts[name]:11}" for name in plans))
    row("largest layer", [largest[name] / MB for name in plans],
        "{:11.1f}", 40)
    row("smallest layer, KB", [smallest[name] / 1e3 for name in plans],
        "{:11.1f}", 40)
    return total, largest


def print_trials(title, first, plans, limit, count):
    head(f"{title}: MB fetched more than changed, mean of {count}", plans)
    closure = first.closure()
    before = {name: plan(closure, limit) for name, plan in plans.items()}
    sums = collections.Counter()
    for kind, revision in trials(first, count):
        after = revision.closure()
        least = changed(closure, after)
        sums[kind] += least
        for name, plan in plans.items():
            sums[kind, name] += fetched(before[name], plan(after, limit),
                                        after) - least
    for kind in KINDS:
        row(kind, [sums[kind] / count / MB] +
            [sums[kind, name] / count / MB for name in plans], "{:11.1f}", 29)


def describe(first):
    closure = first.closure()
    largest = max(closure, key=lambda path: closure[path].size)
    return (f"{len(closure)} paths, "
            f"{size(closure, closure) / MB:,.0f} MB, of which "
            f"{closure[largest].size / MB:.0f} in {largest[44:]}")


def goals(total, largest, first):
    """What is to be: the least in sum, the largest layer at most a quarter of
    popularity's, unless one path alone has more."""
    others = {name: n for name, n in total.items()
              if name not in ("changed", "flakehub")}
    best = min(others, key=others.get)
    ratio = largest["flakehub"] / largest["popularity"]
    print(f"flakehub fetches {total['flakehub'] / others[best]:.2f} of what "
          f"{best} does, the best of the others; its largest layer is "
          f"{ratio:.2f} of popularity's")
    closure = first.closure()
    path = max(closure, key=lambda path: closure[path].size)
    if ratio > 0.25:
        print(f"(a quarter of that is {largest['popularity'] / 4 / MB:.0f} MB, "
              f"and {path[44:]} alone has {closure[path].size / MB:.0f}: a "
              "layer is of whole store paths)")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--layers", type=int, default=100)
    parser.add_argument("--trials", type=int, default=0)
    args = parser.parse_args()
    plans = {"popularity": planners.popularity,
             "auto-layer": planners.auto_layer,
             "one each": planners.capped,
             "flakehub": planners.flakehub(args.program)}
    dump = read_dump(HERE / "closure.dump")
    for left_out in (set(), {"libgl1-mesa-dri"}):
        first = Revision.of(dump, IMAGE | left_out)
        title = describe(first)
        goals(*print_history(title, first, plans, args.layers), first)
        if args.trials:
            print_trials(title, first, plans, args.layers, args.trials)


main()
