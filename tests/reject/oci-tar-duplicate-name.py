# SPDX-License-Identifier: MIT
from makers.archive import entry
from makers.layout import tar_of_layout


def make(dest):
    tar_of_layout(dest, [(entry("index.json"), b"{}")])
    return "two members named 'index.json'"
