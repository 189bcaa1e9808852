# SPDX-License-Identifier: MIT
"""git repositories, and the servers that they are fetched """


from .process import Process, run, wait_for
from .webserver import accepts, free_port

# Nothing of the machine's or the user's settings.
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
}


class Repository:
    """A work tree with the branch main. What is committed is all of it."""

    def __init__(self, path):
        self.path = path
        path.mkdir(exist_ok=True)
        self("init", "--quiet", "--initial-branch=main")
        self.commit()

    def __call__(self, *args):
        return run(["git", "-C", self.path, *args],
                   env=ENVIRONMENT).ok().out.strip()

    def commit(self, **files):
        """Write these files, commit everything, return the revision."""
        for name, text in files.items():
            (self.path / name).write_text(f"{text}\n")
        self("add", "--all")
        self("commit", "--quiet", "--allow-empty", "--message=x")
        return self("rev-parse", "HEAD")

    def branch(self, name, revision="HEAD"):
        self("branch", "--force", name, revision)
        return self("rev-parse", name)

    def tag(self, name, revision="HEAD", annotated=False):
        more = ["--annotate", "--message=x"] if annotated else []
        self("tag", *more, name, revision)
        return self("rev-parse", f"{name}^{{commit}}")

    def refs(self):
        """The short names of branches and tags, as git ls-remote says."""
        out = run(["git", "ls-remote", "--heads", "--tags", self.path],
                  env=ENVIRONMENT).ok().out
        names = [line.split("\t")[1] for line in out.splitlines()]
        return [name.split("/", 2)[2] for name in names
                if not name.endswith("^{}")]

    def bare(self, path):
        """A bare copy, as servers have them; pushed to by `push`."""
        run(["git", "clone", "--quiet", "--bare", self.path, path],
            env=ENVIRONMENT).ok()
        return path

    def push(self, path):
        self("push", "--quiet", "--mirror", str(path))


class Daemon:
    """git daemon, which serves all repositories below a folder."""

    def __init__(self, folder, log):
        self.folder = folder
        self.log = log
        self.port = free_port()
        self.start()

    def start(self):
        self.process = Process(
            ["git", "daemon", "--reuseaddr", "--export-all",
             "--listen=127.0.0.1", f"--port={self.port}",
             f"--base-path={self.folder}", self.folder],
            self.log, env=ENVIRONMENT)
        wait_for("git daemon", lambda: self.process.assert_running()
                 and accepts(self.port))

    def url(self, name):
        return f"git://127.0.0.1:{self.port}/{name}"

    def stop(self):
        self.process.stop()
