"""A page in the reader's browser. Standard library only."""

from __future__ import annotations

from pathlib import Path


def open_page(path: Path) -> bool:
    """Open a file in the browser; gives whether there is one that took it."""
    import webbrowser

    try:
        return webbrowser.open(address(path))
    except (webbrowser.Error, OSError):
        return False


def address(path: Path) -> str:
    """What to write into a browser, wherever it was started."""
    return path.resolve().as_uri()
