# SPDX-License-Identifier: MIT
"""A certificate authority of the test's own."""

import ssl

from .process import run


class Authority:
    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(exist_ok=True)
        self.certificate = directory / "ca.crt"
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=flakehub test CA",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign",
             "-keyout", directory / "ca.key",
             "-out", self.certificate]).ok()

    def issue(self, name, *names):
        """A certificate for "DNS:host" and "IP:address"; its file and that
        of its key."""
        base = self.directory / name
        extensions = base.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={','.join(names)}\n")
        run(["openssl", "req", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
             "-keyout", base.with_suffix(".key"),
             "-out", base.with_suffix(".csr")]).ok()
        run(["openssl", "x509", "-req", "-days", "2", "-CAcreateserial",
             "-in", base.with_suffix(".csr"), "-CA", self.certificate,
             "-CAkey", self.directory / "ca.key", "-extfile", extensions,
             "-out", base.with_suffix(".pem")]).ok()
        return base.with_suffix(".pem"), base.with_suffix(".key")

    def client(self):
        """What trusts it, for Python's sockets."""
        return ssl.create_default_context(cafile=str(self.certificate))
