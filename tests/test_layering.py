"""Who may import whom: the architecture, read off the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "automl_phys"
RIBS = ("sources", "tasks", "families", "executors", "checks", "formats")
LAYERS: dict[str, int] = {
    **dict.fromkeys(("errors", "interrupts", "values", "exhibits", "trials", "facts", "decisions", "contracts", "registry", "readable", "measures", "kinds", "sites", "telling"), 1),
    **dict.fromkeys(("yaml_source", "recipe_text", "section", "sections", "compute_sections", "expect_sections", "wording", "recipe", "schema", "machine", "plan",
                     "rundir", "space", "expressions", "expression_tree", "series_sections", "generate_sections",
                     "anomaly_sections", "reinforce_sections", "zoo", "recipe_paths", "image_files", "file_hashes", "downloads",
                     "archive_zip", "archive_contents", "archives", "recipe_lint", "packed_data", "packed_readme",
                     "packing", "run_state", "browsing", "expect_update", "locks", "data_files", "gpus", "programs", "placement", "doctor", "doctor_questions", "study_address", "former", "objectives", "explanations", "catalogue", "completions"), 2),
    **dict.fromkeys(("metrics", "ranking", "bootstrap", "curves", "class_figures", "class_tables", "importance",
                     "table", "table_labels", "table_new", "table_problem", "table_read", "table_roles", "table_split",
                     "table_survey", "table_write", "keras_fit", "layers", "ensemble", "resampling", "pruning",
                     "proposals", "family_study", "dispatch", "arrays", "leaderboard", "assignment", "chain", "cluster_scores", "cluster_figures",
                     "cluster_tables", "points", "points_problem", "points_scale", "cluster_count", "cluster_profiles",
                     "cluster_replicas", "cluster_exhibits", "cluster_measures", "condensed_tree", "belonging",
                     "scatter", "placing", "arrow_kinds", "table_amounts",
                     "table_events", "overlays", "table_features", "table_file", "table_files", "table_signs", "table_view", "amount_scores", "amount_figures", "amount_tables",
                     "conformal", "heads", "mixed_precision", "binned", "blocks", "array_columns", "hdf5_arrays", "hdf5_pandas", "pixels",
                     "table_images", "table_texts", "text_tokens", "word_vectors", "supervised", "image_layers", "image_figures",
                     "class_exhibits", "threshold_sweep", "pretrained", "backbones", "base_layers", "saved_networks", "plain_networks", "onnx_graph", "onnx_expressions",
                     "onnx_rows", "onnx_outputs", "onnx_trees", "onnx_operations", "onnx_networks", "agreement",
                     "export_events", "exporting", "fpga_networks", "transferring", "expectations", "transfer_problem", "transfer_exhibits", "lorenz",
                     "local_models", "local_space", "reducer_facts", "row_networks", "training_length", "exponential_smoothing", "theta_lines", "arima_filter",
                     "series_problem", "series_time", "series_scores", "series_calibration", "series", "series_read",
                     "season", "series_figures", "series_parts", "series_tables", "series_exhibits", "peak", "window_units", "series_transform", "window_space",
                     "window_layers", "window_networks", "lagged_space", "lagged_trees",
                     "event_space", "generating", "events", "event_files", "image_observables", "closure", "closure_sample",
                     "closure_classifier", "closure_distances", "closure_neighbours", "closure_figures", "closure_tables",
                     "closure_exhibits", "coupling_layers", "denoising_layers", "variational_layers", "picture_networks",
                     "adversarial", "latent_networks", "generator_networks",
                     "detecting", "detector_facts", "detector_layers", "detector_networks", "pyod_detectors",
                     "principal_axes", "event_folds", "region_classifiers",
                     "anomaly_scores", "bump_hunt", "mass_sculpting", "anomaly_ceilings", "anomaly_explained", "anomaly_figures",
                     "anomaly_tables", "anomaly_exhibits", "anomaly_injections",
                     "anomaly_problem", "anomaly_flags", "sidebands", "stand_ins", "table_anomalies",
                     "environments", "environment_modules", "environment_spaces", "environment_wrappers",
                     "observation_scale", "beam_environment", "beam_picture", "oscillator_environment",
                     "oscillator_picture", "interquartile", "episode_video",
                     "environment_problem", "gym_spaces", "episode_play", "episode_film", "agents", "agent_facts",
                     "agent_training", "agent_checkpoints", "agent_scores", "random_acting", "controllers",
                     "reinforce_exhibits", "reinforce_figures", "reinforce_tables", "state_figures", "round_bins"), 3),
    "column_profiles": 3, "role_guesses": 3, "drafting": 3, "series_draft": 3, "anomaly_draft": 3, "recipe_draft": 3, "dask_worker": 3, "epoch_checkpoints": 3, "dask_sites": 3,
    **dict.fromkeys(RIBS, 4),
    **dict.fromkeys(("prepare", "search", "worker", "verify", "refit", "predict", "export", "play", "draw", "earlier",
                     "search_figures", "study_record", "study_tables", "warm_start", "pareto", "dashboard", "evaluate", "diagnose", "legend", "figures", "picture_drawing", "scatter_drawing", "scatter_page", "curve_page", "frames", "page_data", "sweep_page", "table_order", "run_index",
                     "pages", "lock_repeats", "comparison", "comparison_tables", "comparison_page", "report"), 5),
    **dict.fromkeys(("pipeline", "terminal_plots", "terminal_search", "terminal_tables", "terminal_comparison", "terminal_doctor", "console", "gallery", "checking", "check_outputs", "notebook", "command_line", "wrong_calls", "commands_help", "commands_list", "commands_share", "cli"), 6),
}
STANDARD_ONLY = 1
LIGHT = {"pydantic", "pydantic_core", "yaml", "psutil"}
HEAVY = {"ruamel", "numpy", "scipy", "sklearn", "lightgbm", "keras", "tensorflow", "jax", "torch", "optuna", "dask",
         "distributed", "matplotlib", "mplhep", "pyarrow", "jinja2", "umap", "hdbscan", "openTSNE", "numba",
         "h5py", "uproot", "awkward", "pooch", "PIL", "statsforecast", "statsmodels", "pandas",
         "onnx", "onnxruntime", "pyod", "gymnasium", "stable_baselines3", "sb3_contrib", "sqlalchemy", "psycopg",
         "optuna_dashboard"}
"""Packages whose import a user would notice; some layers may import them only inside a function."""


def module_of(path: Path) -> str:
    """Layer name of a file: a rib's folder, or the module's own name."""
    return path.parent.name if path.parent != PACKAGE else path.stem


def imports(path: Path, top_level_only: bool) -> list[str]:
    """Modules a file imports, those under TYPE_CHECKING left out (they are for the type checker)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = {id(inner) for node in ast.walk(tree)
               if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
               for inner in ast.walk(node)}
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found = []
    for node in nodes:
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += ([f"{node.module}.{alias.name}" for alias in node.names] if node.module == "automl_phys"
                      else [node.module])
    return found


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_layer_may(path: Path) -> None:
    own = module_of(path)
    assert own in LAYERS, f"{path.name} has no layer: add it to LAYERS, on purpose"
    layer = LAYERS[own]
    for name in imports(path, top_level_only=False):
        if not name.startswith("automl_phys."):
            continue
        target = name.split(".")[1]
        if target not in LAYERS:
            continue  # a name of the package itself, such as __version__
        other = LAYERS[target]
        assert other <= layer, f"{path.name} (layer {layer}) imports {name} (layer {other})"
        assert not (layer == 4 and other == 4), f"{path.name}: a rib imports another rib, {name}"
        assert not (layer == 5 and other == 4), f"{path.name}: a stage reaches a rib past the registry, {name}"
        assert not (layer == 5 and other == 5 and target in STAGES), f"{path.name}: a stage imports a stage, {name}"


STAGES = {"prepare", "search", "worker", "refit", "predict", "export", "play", "draw", "evaluate", "diagnose", "report"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_packages_are_not_imported_at_the_top_of_light_layers(path: Path) -> None:
    layer = LAYERS[module_of(path)]
    roots = {name.split(".")[0] for name in imports(path, top_level_only=True)}
    if layer == STANDARD_ONLY:
        assert not roots & (HEAVY | LIGHT)
    if layer in (2, 4, 6):
        assert not roots & HEAVY
