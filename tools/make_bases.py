"""Make the networks that the transfer recipes begin with: ``python tools/make_bases.py [FOLDER]``.

Runs a classification on other classes than the recipes' own, through the command line, and copies the best network of
each into ``recipes/bases/``. The same machine and versions give the same files.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from automl_phys import pretrained
from automl_phys.sections import Base

DIGITS = " or ".join(f"target == '{digit}'" for digit in range(5))

RECIPES = {
    "qcd-vs-w": """
recipe: 1
name: qcd-vs-w
task: classify
data: {builtin: jet_images, images: images, target: label, signal: w, cut: "label != 'top' and event_id % 2 == 0"}
model: {families: [cnn], ensemble: 1, refit: false, cnn: {pooling: average, normalisation: batch}}
search: {trials: 4}
seed: 1
""",
    "digits-0-to-4": f"""
recipe: 1
name: digits-0-to-4
task: classify
data: {{builtin: digit_images, images: pixels, target: target, cut: "{DIGITS}"}}
model: {{families: [cnn], ensemble: 1, refit: false, cnn: {{pooling: average, normalisation: batch}}}}
search: {{trials: 4}}
seed: 1
""",
}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "recipes" / "bases"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in RECIPES.items():
            recipe = Path(scratch) / f"{name}.yaml"
            recipe.write_text(text, encoding="utf-8")
            command = str(Path(sys.executable).with_name("automl-phys"))
            subprocess.run([command, "run", str(recipe), "--quiet", "--out", f"{scratch}/runs"], check=True)
            found = pretrained.find(Base(run=f"runs/{name}/latest"), Path(scratch))
            shutil.copyfile(str(found.file), folder / f"{name}.keras")
            print(f"{folder / name}.keras: {found.text}")


if __name__ == "__main__":
    main()
