# SPDX-License-Identifier: MIT
"""A closure through its revisions, as Nix would make them: packages by name,
of which some change from one revision to the next, and store paths whose
hashes follow from what a package is and from all that it needs."""

import collections
import hashlib
import random

Package = collections.namedtuple("Package", "size needs version")
Path = collections.namedtuple("Path", "size needs")  # needs: paths


def read_dump(file):
    """What `nix-store --dump-db` prints: path -> Path."""
    with open(file, encoding="utf-8") as f:
        lines = iter(f.read().split("\n"))
    closure = {}
    for path in lines:
        if not path:
            break
        next(lines)
        size, _, count = int(next(lines)), next(lines), int(next(lines))
        needs = {next(lines) for _ in range(count)} - {path}
        closure[path] = Path(size, sorted(needs))
    return closure


def parse_name(name):
    """As Nix does: the version begins at the first dash before a digit."""
    for i, letter in enumerate(name[:-1]):
        if letter == "-" and name[i + 1].isdigit():
            return name[:i], name[i:]
    return name, ""


class Revision:
    """Name -> Package; what the image has is what "start" needs."""

    def __init__(self, packages):
        self.packages = packages

    @classmethod
    def of(cls, dump, left_out):
        """A dump's packages without some, and without what needs those; on
        top an application that needs whatever nothing else does."""
        names = {path: parse_name(path[44:]) for path in dump}
        count = collections.Counter(name for name, _ in names.values())
        # libgcc-12-dev and libgcc-13-dev are two packages.
        names.update({path: (path[44:], "") for path, (name, _) in
                      names.items() if count[name] > 1})
        gone = {path for path in dump if names[path][0] in left_out}
        while more := {path for path in dump if path not in gone and
                       gone.intersection(dump[path].needs)}:
            gone |= more
        packages = {
            names[path][0]: Package(
                dump[path].size,
                tuple(names[p][0] for p in dump[path].needs),
                names[path][1])
            for path in sorted(dump) if path not in gone}
        needed = {name for p in packages.values() for name in p.needs}
        packages["app"] = Package(
            8_000_000, tuple(sorted(set(packages) - needed)), "-1.0")
        packages["start"] = Package(1_000, ("app",), "")
        return cls(packages)

    def closure(self):
        """path -> Path."""
        paths = {}

        def path(name):
            if name not in paths:
                size, needs, version = self.packages[name]
                text = repr((name, version, size,
                             sorted(path(other) for other in needs)))
                digest = hashlib.sha256(text.encode()).hexdigest()[:32]
                paths[name] = f"/nix/store/{digest}-{name}{version}"
            return paths[name]

        return {path(name): Path(package.size,
                                 sorted(map(path, package.needs)))
                for name, package in self.packages.items()}

    def changed(self, changes):
        """Another revision: name -> Package, or None where it goes. What
        then nothing needs is gone, too."""
        packages = dict(self.packages)
        for name, package in changes.items():
            if package:
                packages[name] = package
        lost = {name for name, package in changes.items() if not package}
        packages = {name: p._replace(needs=tuple(
            other for other in p.needs if other not in lost))
            for name, p in packages.items() if name not in lost}
        kept, todo = set(), ["start"]
        while todo:
            name = todo.pop()
            if name not in kept:
                kept.add(name)
                todo += packages[name].needs
        return Revision({name: p for name, p in packages.items()
                         if name in kept})

    def updated(self, names, grow=1.0):
        """New versions of these, as large as before but for the factor."""
        return self.changed({
            name: p._replace(size=int(p.size * grow),
                             version=p.version + "+1")
            for name in names for p in [self.packages[name]]})

    def with_package(self, name, size, needs):
        app = self.packages["app"]
        return self.changed({
            name: Package(size, tuple(needs), "-1.0"),
            "app": app._replace(needs=tuple(sorted((*app.needs, name))))})


def history(first):
    """[(what happened, Revision)]: ten of them."""
    steps = [("first pull", first)]

    def step(text, make):
        steps.append((text, make(steps[-1][1])))

    step("the app changes", lambda r: r.updated(["app"], 1.01))
    step("zlib1g, deep in the graph", lambda r: r.updated(["zlib1g"]))
    step("a package is added", lambda r: r.with_package(
        "sqlite", 1_700_000, ["libc6", "libreadline8"] if "libreadline8" in
        r.packages else ["libc6", "zlib1g"]))
    step("the app changes again", lambda r: r.updated(["app"], 0.99))
    step("libx265 grows by a quarter",
         lambda r: r.updated(["libx265"], 1.25))
    step("imagemagick is removed", lambda r: r.changed(
        {name: None for name in r.packages
         if name.startswith("imagemagick-6.9")}))
    step("libssl3, libxml2, libglib2.0",
         lambda r: r.updated(["libssl3", "libxml2", "libglib2.0"], 1.002))
    step("everything is rebuilt", lambda r: r.updated(list(r.packages)))
    step("git and the app", lambda r: r.updated(["git", "app"], 1.01))
    return steps


KINDS = ("a package changes", "five change", "the app changes",
         "one grows by 40 %", "one is added", "one is removed")


def change(revision, kind, rng):
    """A revision after one random change."""
    names = sorted(revision.packages)
    app = revision.packages["app"]
    if kind == KINDS[0]:
        return revision.updated([rng.choice(names)], rng.uniform(.98, 1.03))
    if kind == KINDS[1]:
        return revision.updated(rng.sample(names, 5), rng.uniform(.98, 1.03))
    if kind == KINDS[2]:
        return revision.updated(["app"], rng.uniform(.9, 1.1))
    if kind == KINDS[3]:
        return revision.updated([rng.choice(names)], 1.4)
    if kind == KINDS[4]:
        below = sorted(set(names) - {"app", "start"} - set(app.needs))
        return revision.with_package(f"new{rng.randrange(10 ** 6)}",
                                     int(10 ** rng.uniform(4.3, 7.2)),
                                     rng.sample(below, 3))
    return revision.changed({rng.choice(app.needs): None})


def trials(first, count):
    """[(kind, Revision)]: so many random changes of each kind."""
    rng = random.Random(1)
    return [(kind, change(first, kind, rng))
            for kind in KINDS for _ in range(count)]
