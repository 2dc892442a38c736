"""Commands about sharing: ``lint``, ``pack``, ``unpack``. Each handler is short; what is heavy is imported inside
it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from automl_phys.command_line import Json, LimitGb, Quiet, app, tell
from automl_phys.errors import LintError


@app.command()
def lint(
    paths: Annotated[list[Path], typer.Argument(metavar="RECIPE|FOLDER...", help="What is to be shared.")],
    as_json: Json = False,
) -> None:
    """Tell what should not be given away: secrets, absolute paths, names of home folders and people."""
    from automl_phys import recipe_lint

    if found := recipe_lint.look_at(paths):
        raise LintError(found)
    tell(["Nothing was found that should not be given away."], as_json)


@app.command()
def pack(
    what: Annotated[Path, typer.Argument(metavar="RECIPE|RUN", help="A recipe, or the folder of a run.")],
    output: Annotated[Path | None, typer.Option(
        "-o", "--output", help="The archive, by default NAME.amlphys.zip here.")] = None,
    with_model: Annotated[bool, typer.Option("--with-model", help="Of a run: put in what predicts.")] = False,
    with_data: Annotated[bool, typer.Option("--with-data", help="Put in the data, too.")] = False,
    limit_gb: LimitGb = 2.0,
    force: Annotated[bool, typer.Option("--force", help="Pack although 'lint' finds something.")] = False,
    quiet: Quiet = False, as_json: Json = False,
) -> None:
    """Put a recipe or a run into one archive, to be shared."""
    from automl_phys import packing
    from automl_phys.console import Terminal

    with Terminal(quiet or as_json) as show:
        show.stage("Pack")
        made = packing.pack(what, output, with_model, with_data, limit_gb, force, show.advance)
    tell([f"Packed {made.members} files into {made.path} ({made.bytes / 1e6:.3g} MB).", f"sha256={made.sha256}",
          *made.notes], as_json, [made.path], sha256=made.sha256)


@app.command()
def unpack(
    archive: Annotated[str, typer.Argument(
        metavar="FILE|ADDRESS", help="An archive, or https://...#sha256=HEX.")],
    output: Annotated[Path | None, typer.Option(
        "-o", "--output", help="The new folder, by default named like the archive.")] = None,
    sha256: Annotated[str, typer.Option("--sha256", help="What the archive's SHA-256 must be.")] = "",
    limit_gb: LimitGb = 2.0, quiet: Quiet = False, as_json: Json = False,
) -> None:
    """Check an archive and unpack it into a new folder, whole or not at all."""
    from automl_phys import archives
    from automl_phys.console import Terminal

    with Terminal(quiet or as_json) as show:
        show.stage("Unpack")
        file = archives.given(archive, sha256, show.advance)
        folder = output or Path(file.name[:-len(archives.SUFFIX)] if archives.is_one(file.name) else file.stem)
        contents = archives.unpack(file, folder, limit_gb, show.advance)
    if not as_json:
        show.table(archives.table(contents))
    tell([f"Unpacked into {folder}."], as_json, [folder], contents=contents)
