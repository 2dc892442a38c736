"""What ``docs/recipe.md`` says of editors: with its lines a YAML language server completes, explains, and marks mistakes.

Talks to ``yaml-language-server`` (npm) as an editor does, over its input and output; skipped where it is not installed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
SERVER = shutil.which("yaml-language-server")
FIRST = re.search(r"^# yaml-language-server: \$schema=\./schema\.json$", PAGE, re.MULTILINE)
SETTINGS = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])  # type: ignore[index]
RECIPE = """\
recipe: 1
task: classify
data: {builtin: jets, target: label}
search:
  trials: 40
  sampler: tpe
  s
seed: 7
"""

needs_server = pytest.mark.skipif(SERVER is None, reason="yaml-language-server (npm) is not installed")


class Editor:
    """An editor's end of the language server protocol."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.process = subprocess.Popen([str(SERVER), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ids = 0
        self.ask("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": {
            "workspace": {"configuration": True}, "textDocument": {"hover": {"contentFormat": ["markdown"]}}},
            "workspaceFolders": [{"uri": folder.as_uri(), "name": "folder"}]})
        self.tell("initialized", {})

    def send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin
        self.process.stdin.write(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.process.stdin.flush()

    def tell(self, method: str, params: Any) -> None:
        self.send({"method": method, "params": params})

    def heard(self) -> Iterator[dict[str, Any]]:
        """What the server says, its questions answered."""
        out = self.process.stdout
        assert out
        while True:
            length = 0
            while line := out.readline().strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            message = json.loads(out.read(length))
            if message.get("method") == "workspace/configuration":
                self.send({"id": message["id"], "result": [
                    self.settings if item.get("section") == "yaml" else None for item in message["params"]["items"]]})
            elif "id" in message and "method" in message:
                self.send({"id": message["id"], "result": None})
            else:
                yield message

    def ask(self, method: str, params: Any) -> Any:
        self.ids += 1
        self.send({"id": self.ids, "method": method, "params": params})
        return next(message["result"] for message in self.heard() if message.get("id") == self.ids)

    def opened(self, file: Path) -> list[dict[str, Any]]:
        """Open a file; gives what is marked in it."""
        self.tell("textDocument/didOpen", {"textDocument": {
            "uri": file.as_uri(), "languageId": "yaml", "version": 1, "text": file.read_text(encoding="utf-8")}})
        found: list[dict[str, Any]] = next(
            message["params"]["diagnostics"] for message in self.heard()
            if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == file.as_uri())
        return found

    def at(self, what: str, file: Path, line: int, character: int) -> Any:
        return self.ask(f"textDocument/{what}", {"textDocument": {"uri": file.as_uri()},
                                                 "position": {"line": line, "character": character}})


def by_a_line(folder: Path) -> tuple[Path, dict[str, Any]]:
    """A recipe that names the schema in its first line, and no settings."""
    assert FIRST
    file = folder / "recipe.yaml"
    file.write_text(f"{FIRST[0]}\n{RECIPE}", encoding="utf-8")
    return file, {"validate": True, "hover": True, "completion": True}


def by_settings(folder: Path) -> tuple[Path, dict[str, Any]]:
    """A recipe as it is, and the settings of the folder."""
    (folder / "recipes").mkdir()
    file = folder / "recipes" / "recipe.yaml"
    file.write_text(f"# nothing is said here\n{RECIPE}", encoding="utf-8")
    return file, {"validate": True, "hover": True, "completion": True, "schemas": SETTINGS["yaml.schemas"]}


@needs_server
@pytest.mark.parametrize("way", [by_a_line, by_settings])
def test_an_editor_completes_explains_and_marks(way: Any, tmp_path: Path) -> None:
    shutil.copy(ROOT / "schema.json", tmp_path)
    file, settings = way(tmp_path)
    editor = Editor(tmp_path, settings)
    try:
        marked = editor.opened(file)
        assert any("s" in one["message"] and one["range"]["start"]["line"] == 7 for one in marked), marked
        hover = editor.at("hover", file, 5, 4)["contents"]["value"]
        assert "How many configurations are tried" in hover
        offered = editor.at("completion", file, 7, 3)
        labels = {item["label"] for item in (offered["items"] if isinstance(offered, dict) else offered)}
        assert {"storage", "pruner", "minutes"} & labels
        wrong = tmp_path / "wrong.yaml"
        wrong.write_text(file.read_text(encoding="utf-8").replace("  s\n", "").replace("tpe", "tpee"),
                         encoding="utf-8")
        if way is by_a_line:
            assert any(one["range"]["start"]["line"] == 6 for one in editor.opened(wrong))
    finally:
        editor.process.kill()
        editor.process.communicate()


def test_the_page_names_a_schema_that_is_there() -> None:
    assert FIRST
    assert list(SETTINGS["yaml.schemas"]) == ["./schema.json"]
    assert (ROOT / "schema.json").exists()
