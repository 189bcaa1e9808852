# SPDX-License-Identifier: MIT
"""plan.py PROGRAM [--layers N] [--trials N]

What a node that has an image's previous revision fetches of the next one, by
different planners, beside the bytes of the store paths that changed, which
no planner can go below. The closure is that of tests/fixtures' bench as its
Debian packages were in 2026 (bench/closure.dump); its revisions are made up
(history.py). --trials: the same for random changes of the first revision.

The exit status is 1 where a goal of the first table is missed: ours fetches
least in sum, its largest layer is at most a quarter of popularity's, and no
revision has more layers than N."""

import argparse
import collections
import pathlib
import sys

import planners
from history import KINDS, Revision, history, read_dump, trials

HERE = pathlib.Path(__file__).parent
# These are the image that the closure was taken of, not packages.
IMAGE = {"bench-conf.json", "packages", "versions"}
# One path of 335 MB, which no plan of whole paths can make a layer smaller
# than: the second table, without a goal, has it.
LARGE = {"libgl1-mesa-dri"}
MB = 1e6


def size(closure, layer):
    return sum(closure[path].size for path in layer)


def fetched(before, layers, closure):
    have = {frozenset(layer) for layer in before}
    return sum(size(closure, layer) for layer in layers
               if frozenset(layer) not in have)


def changed(before, closure):
    return sum(p.size for path, p in closure.items() if path not in before)


def check(layers, closure):
    paths = [path for layer in layers for path in layer]
    if sorted(paths) != sorted(closure):
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
            check(layers, closure)
            numbers.append(fetched(had.get(name, []), layers, closure))
            had[name] = layers
            sizes = [size(closure, layer) for layer in layers]
            counts[name] = max(counts.get(name, 0), len(layers))
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
    print(f"{'layers, at most':40}" +
          "".join(f"{counts[name]:11}" for name in plans))
    row("largest layer", [largest[name] / MB for name in plans],
        "{:11.1f}", 40)
    row("smallest layer, KB", [smallest[name] / 1e3 for name in plans],
        "{:11.1f}", 40)
    return total, largest, counts


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


def print_sum(total, largest):
    """Ours beside the others', as two ratios."""
    others = {name: n for name, n in total.items()
              if name not in ("changed", "flakehub")}
    best = min(others, key=others.get)
    fetched_ratio = total["flakehub"] / others[best]
    largest_ratio = largest["flakehub"] / largest["popularity"]
    print(f"flakehub fetches {fetched_ratio:.2f} of what {best} does, the "
          f"best of the others; its largest layer is {largest_ratio:.2f} of "
          "popularity's")
    return fetched_ratio, largest_ratio


def missed(ratios, layers, limit):
    """The goals that are missed, as text."""
    fetched_ratio, largest_ratio = ratios
    rows = ((fetched_ratio < 1, "fetches least in sum"),
            (largest_ratio <= 0.25,
             "has a largest layer of at most a quarter of popularity's"),
            (layers <= limit, f"has {limit} layers at most"))
    for met, goal in rows:
        print(f"goal: flakehub {goal}: {'met' if met else 'MISSED'}")
    return [goal for met, goal in rows if not met]


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
    failed = []
    for left_out in (LARGE, set()):
        first = Revision.of(dump, IMAGE | left_out)
        title = describe(first)
        total, largest, counts = print_history(title, first, plans,
                                               args.layers)
        ratios = print_sum(total, largest)
        if left_out:
            failed = missed(ratios, counts["flakehub"], args.layers)
            print(f"These are judged without {', '.join(left_out)}, which "
                  "alone exceeds a quarter of\npopularity's largest layer: "
                  "no plan of whole paths could meet that.")
        if args.trials:
            print_trials(title, first, plans, args.layers, args.trials)
    return 1 if failed else 0


sys.exit(main())
