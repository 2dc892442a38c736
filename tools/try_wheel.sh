#!/bin/sh
# Builds the wheel, installs it into a new environment in a temporary folder, and runs a recipe there: with nothing of this
# repository but the wheel and the versions of constraints.txt. tools/try_wheel.sh [PYTHON], one that has 'build'.
set -eu

repository=$(cd "$(dirname "$0")/.." && pwd)
python=$(command -v "${1:-python3}")
case $python in /*) ;; *) python=$PWD/$python ;; esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cp -R "$repository/automl_phys" "$repository/pyproject.toml" "$repository/README.md" "$repository/LICENSE" "$folder/"
(cd "$folder" && "$python" -m build --wheel --outdir "$folder/dist" .)
rm -r "$folder/automl_phys"

"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --disable-pip-version-check --quiet -c "$repository/constraints.txt" "$folder"/dist/*.whl

cd "$folder"
unset PYTHONPATH
"$folder/venv/bin/automl-phys" init classify -o demo.yaml
"$folder/venv/bin/automl-phys" run demo.yaml --smoke
test -s runs/demo/latest/report.html
echo "The wheel works: $(basename "$folder"/dist/*.whl)"
