# SPDX-License-Identifier: MIT
"""What was measured: named series of numbers, one a round, and ratios of two
series, worked out round by round, so that a change of the machine's load from
one round to the next is in both."""

import json
import os
import platform
import statistics
import subprocess


def cores():
    return len(os.sched_getaffinity(0))


class Series:
    def __init__(self, name, unit):
        self.name = name
        self.unit = unit
        self.values = []

    def median(self):
        return statistics.median(self.values)

    def spread(self):
        return min(self.values), max(self.values)

    def best(self):
        """The least disturbed of them."""
        return min(self.values) if self.unit in ("s", "ms") else \
            max(self.values)


class Ratio:
    """goal: "<= 1.25" or ">= 0.7", or None where there is none."""

    def __init__(self, name, of, to, goal):
        self.name = name
        self.of = of
        self.to = to
        self.goal = goal

    def values(self):
        return [a / b for a, b in zip(self.of.values, self.to.values) if b]

    def median(self):
        return statistics.median(self.values())

    def best(self):
        """Of both sides' best rounds, whichever they were."""
        return self.of.best() / self.to.best()

    def verdict(self):
        if not self.goal:
            return ""
        word, number = self.goal.split()
        value = self.median()
        good = value <= float(number) if word == "<=" else \
            value >= float(number)
        return "met" if good else "missed"


class Limit:
    """A goal in a series' own unit."""

    def __init__(self, name, series, goal):
        self.name = name
        self.series = series
        self.goal = goal

    def verdict(self):
        word, number = self.goal.split()
        value = self.series.median()
        good = value <= float(number) if word == "<=" else \
            value >= float(number)
        return "met" if good else "missed"


def short(value):
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if value < 1 else f"{value:.2f}"


class Figures:
    def __init__(self):
        self.series = {}
        self.ratios = []
        self.limits = []
        self.loads = []
        self.notes = []

    def add(self, name, value, unit):
        self.series.setdefault(name, Series(name, unit)).values.append(value)
        self.loads.append(os.getloadavg()[0])
        return value

    def ratio(self, name, of, to, goal=None):
        """Of two series that are there: what was not measured is an error,
        and no row that is left out."""
        self.ratios.append(Ratio(name, self.series[of], self.series[to],
                                 goal))

    def limit(self, name, series, goal):
        self.limits.append(Limit(name, self.series[series], goal))

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def print(self):
        width = max([len(name) for name in self.series] + [20])
        print(f"\n{'':{width}}   median        min        max  rounds")
        for series in self.series.values():
            low, high = series.spread()
            print(f"{series.name:{width}} {short(series.median()):>8} "
                  f"{short(low):>10} {short(high):>10} "
                  f"{len(series.values):>4}  {series.unit}")
        width = max([len(x.name) for x in self.ratios + self.limits] + [20])
        print(f"\n{'':{width}}   median        min        max       best  "
              "goal")
        for ratio in self.ratios:
            values = ratio.values()
            print(f"{ratio.name:{width}} {short(ratio.median()):>8} "
                  f"{short(min(values)):>10} {short(max(values)):>10} "
                  f"{short(ratio.best()):>10}  {ratio.goal or '':8} {ratio.verdict()}")
        for limit in self.limits:
            low, high = limit.series.spread()
            print(f"{limit.name:{width}} {short(limit.series.median()):>8} "
                  f"{short(low):>10} {short(high):>10} {'':10}  "
                  f"{limit.goal:8} {limit.verdict()}  ({limit.series.unit})")
        print()
        for note in [*self.notes, self.machine()]:
            print(note)

    def machine(self):
        return (f"{cores()} cores, load {statistics.median(self.loads):.1f} "
                f"(median; {min(self.loads):.1f} to {max(self.loads):.1f}), "
                f"Linux {platform.release()}")

    def json(self, path):
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, check=False).stdout.strip()
        with open(path, "w", encoding="utf-8") as f:
            json.dump({
                "commit": commit, "machine": self.machine(),
                "notes": self.notes,
                "series": {s.name: {"unit": s.unit, "median": s.median(),
                                    "values": s.values}
                           for s in self.series.values()},
                "ratios": {r.name: {"median": r.median(), "best": r.best(),
                                    "goal": r.goal,
                                    "verdict": r.verdict(),
                                    "values": r.values()}
                           for r in self.ratios},
                "goals": {x.name: {"median": x.series.median(),
                                   "goal": x.goal, "verdict": x.verdict()}
                          for x in self.limits},
            }, f, indent=1)
            f.write("\n")
