"""Checks of files before a commit: ``python tools/file_hooks.py end-of-file|yaml FILE...``; exit code 1 for bad ones.

``end-of-file``: text ends with one line end, and no line with blanks. ``yaml``: it can be read.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml


def end_of_file(text: str) -> str:
    """What is wrong with line ends; empty if nothing is."""
    if text and not text.endswith("\n"):
        return "no line end at its end"
    if text.endswith("\n\n"):
        return "empty lines at its end"
    blank = next((i for i, line in enumerate(text.splitlines(), 1) if line != line.rstrip()), 0)
    return f"line {blank} ends with blanks" if blank else ""


def readable_yaml(text: str) -> str:
    """What stops YAML from being read; empty if nothing does."""
    try:
        list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        return " ".join(str(error).split())
    return ""


def main(hook: str, files: list[str]) -> int:
    """Look at the files; 1 if one is bad."""
    look = {"end-of-file": end_of_file, "yaml": readable_yaml}[hook]
    bad = [(file, wrong) for file in files if (wrong := look(Path(file).read_text(encoding="utf-8")))]
    for file, wrong in bad:
        print(f"{file}: {wrong}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
