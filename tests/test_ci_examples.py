"""The CI examples of the docs: sound YAML, whose script lines do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import xmlschema
import yaml

from tests.fixtures import small_recipe

PAGE = Path(__file__).parents[1] / "docs" / "check.md"
EXAMPLES = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)]


def scripts() -> dict[str, list[str]]:
    """The lines of each service, without those that install the program."""
    github: dict[str, Any] = next(one for one in EXAMPLES if "jobs" in one)
    gitlab: dict[str, Any] = next(one for one in EXAMPLES if "script" in one.get("check", {}))
    steps = [step["run"] for step in github["jobs"]["check"]["steps"] if step.get("name") in ("check", "show")]
    return {"github": [line for step in steps for line in step.splitlines()], "gitlab": gitlab["check"]["script"]}


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_script_lines_run_and_stop_at_a_miss(service: str, tmp_path: Path) -> None:
    lines = scripts()[service]
    assert any("automl-phys check" in line for line in lines)
    (tmp_path / "recipes").mkdir()
    path = small_recipe.write(tmp_path / "recipes", "roc_auc: {min: 0.6}")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "automl-phys"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m automl_phys.cli "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
                   "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}

    def done() -> int:
        return subprocess.run(["bash", "-e", "-c", "\n".join(lines)], cwd=tmp_path, env=environment, check=False,
                              capture_output=True).returncode

    assert done() == 0
    xmlschema.validate(str(tmp_path / "junit.xml"), Path(__file__).with_name("junit.xsd"))
    assert "| passed |" in (tmp_path / "checks.md").read_text()
    if service == "github":
        assert "| passed |" in (tmp_path / "summary.md").read_text()
    path.write_text(path.read_text().replace("min: 0.6", "min: 0.99"))
    assert done() == 4
    assert "**missed**: It is below 0.99." in (tmp_path / "checks.md").read_text()
