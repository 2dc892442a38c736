"""Generate the jets of ``automl_phys/data/jets.parquet``: QCD, W and top jets from Pythia 8, clustered with FastJet.

    pip install --only-binary=:all: pythia8mc fastjet numpy pyarrow
    python tools/generate_jets.py jets.parquet --jets qcd=20000 w=10000 top=10000

Takes the number of jets of each process and a seed; writes one row per jet: the leading one of each event, anti-kT with
R = 0.8, within the limits of pT and |η|. No detector is simulated. About 50 jets a second on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fastjet
import numpy as np
import pyarrow as pa
import pythia8mc
from numpy.typing import NDArray
from pyarrow import parquet

BEAM_ENERGY_GEV = 13_000
RADIUS = 0.8
JET_ETA = 2.0
PARTICLE_ETA = 2.5
SOFT_DROP_CUT = 0.1
CHARGE_EXPONENT = 0.5
HARDEST = 60
"""Constituents that enter the energy correlations, whose cost grows with the third power."""
WEIGHT_BINS = 20

PROCESSES: Mapping[str, tuple[str, ...]] = {
    "qcd": ("HardQCD:all=on",),
    "w": ("WeakDoubleBoson:ffbar2WW=on", "24:onMode=off", "24:onIfAny=1 2 3 4 5"),
    "top": ("Top:gg2ttbar=on", "Top:qqbar2ttbar=on", "24:onMode=off", "24:onIfAny=1 2 3 4 5"),
}

Floats = NDArray[np.float64]


def main() -> None:
    """Read the command line, generate, write."""
    arguments = _arguments()
    rng = np.random.default_rng(arguments.seed)
    rows: list[dict[str, float]] = []
    labels: list[str] = []
    for i, (process, count) in enumerate(arguments.jets.items()):
        jets = generate(process, count, arguments.seed + i + 1, arguments.pt_min, arguments.pt_max)
        for found, row in enumerate(jets, 1):
            rows.append(row)
            labels.append(process)
            if found % 1000 == 0:
                print(f"{process}: {found} of {count} jets")
    order = rng.permutation(len(rows))
    label = np.array(labels)[order]
    columns = {name: np.array([rows[i][name] for i in order], np.float32) for name in rows[0]}
    weight = flat_pt_weights(columns["pt"], label, arguments.pt_min, arguments.pt_max)
    table = pa.table({"event_id": np.arange(len(rows)), **columns, "label": pa.array(label, pa.large_string()),
                      "weight": weight.astype(np.float32)})
    parquet.write_table(table, arguments.out, compression="zstd", compression_level=19)
    print(f"{len(rows)} jets in {arguments.out}")


def generate(process: str, count: int, seed: int, pt_min: float, pt_max: float) -> Iterator[dict[str, float]]:
    """Features of ``count`` leading jets with ``pt_min`` < pT < ``pt_max`` in GeV.

    Raises ValueError when Pythia refuses a setting or does not start.
    """
    pythia = _pythia(process, seed, pt_min, pt_max)
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, RADIUS)
    found = 0
    while found < count:
        if not pythia.next():
            continue
        cluster = fastjet.ClusterSequence(_particles(pythia.event), definition)
        jets = [jet for jet in fastjet.sorted_by_pt(cluster.inclusive_jets(100.0)) if abs(jet.eta()) < PARTICLE_ETA]
        if jets and pt_min < jets[0].pt() < pt_max and abs(jets[0].eta()) < JET_ETA:
            found += 1
            yield features(jets[0])


def features(jet: Any) -> dict[str, float]:
    """Kinematics and substructure of a jet; masses and momenta in GeV.

    N-subjettiness τ_N (arXiv:1011.2268, β = 1, exclusive kT axes), energy correlations ecf2, C2, D2 (arXiv:1305.0007,
    1409.6298, β = 1), soft drop (arXiv:1402.2657, z_cut = 0.1, β = 0), jet charge (arXiv:1209.2421, κ = 0.5).
    """
    constituents = list(jet.constituents())
    pt, y, phi, charge = np.array([(c.pt(), c.rap(), c.phi_std(), c.user_index()) for c in constituents]).T
    z = pt / pt.sum()
    ecf2, c2, d2 = _energy_correlations(z, y, phi)
    mass_softdrop, z_g, r_g = _soft_drop(constituents)
    charge_weight = pt**CHARGE_EXPONENT
    return {
        "pt": jet.pt(), "eta": jet.rap(), "phi": jet.phi_std(), "mass": jet.m(), "mass_softdrop": mass_softdrop,
        "n_constituents": len(constituents), "n_charged": float((charge != 0).sum()),
        "width": float((z * _distance(y, phi, jet.rap(), jet.phi_std())).sum()),
        "pt_dispersion": float(np.sqrt((z**2).sum())),
        **_subjettiness(constituents, z, y, phi),
        "ecf2": ecf2, "c2": c2, "d2": d2, "z_g": z_g, "r_g": r_g,
        "jet_charge": float((charge * charge_weight).sum() / charge_weight.sum()),
    }


def flat_pt_weights(pt: NDArray[np.float32], label: NDArray[np.str_], pt_min: float, pt_max: float) -> Floats:
    """Weights (n,) that make each class's pT distribution flat in ``WEIGHT_BINS`` bins, their mean 1 in each class."""
    bins = np.clip(((pt - pt_min) / (pt_max - pt_min) * WEIGHT_BINS).astype(int), 0, WEIGHT_BINS - 1)
    weight = np.ones(len(pt))
    for name in np.unique(label):
        of_class = label == name
        counts = np.bincount(bins[of_class], minlength=WEIGHT_BINS)
        weight[of_class] = 1 / counts[bins[of_class]]
        weight[of_class] /= weight[of_class].mean()
    return weight


def _pythia(process: str, seed: int, pt_min: float, pt_max: float) -> Any:
    settings = [
        "Print:quiet=on", "Next:numberCount=0",
        f"Random:seed={seed}", "Random:setSeed=on", f"Beams:eCM={BEAM_ENERGY_GEV}.",
        *PROCESSES[process], f"PhaseSpace:pTHatMin={0.9 * pt_min:.0f}", f"PhaseSpace:pTHatMax={1.4 * pt_max:.0f}"]
    pythia = pythia8mc.Pythia("", False)
    for setting in settings:
        if not pythia.readString(setting):
            raise ValueError(f"Pythia does not know the setting {setting}")
    if not pythia.init():
        raise ValueError(f"Pythia cannot start with process {process}")
    return pythia


def _particles(event: Any) -> list[Any]:
    """Visible final particles within the acceptance; the charge is their user index."""
    particles = []
    for i in range(event.size()):
        p = event[i]
        if p.isFinal() and p.isVisible() and abs(p.eta()) < PARTICLE_ETA:
            particle = fastjet.PseudoJet(p.px(), p.py(), p.pz(), p.e())
            particle.set_user_index(int(p.charge()))
            particles.append(particle)
    return particles


def _distance(y: Floats, phi: Floats, y0: Floats | float, phi0: Floats | float) -> Floats:
    """ΔR in rapidity and azimuth, the latter wrapped to ±π."""
    return np.hypot(y - y0, (phi - phi0 + np.pi) % (2 * np.pi) - np.pi)


def _subjettiness(constituents: list[Any], z: Floats, y: Floats, phi: Floats) -> dict[str, float]:
    cluster = fastjet.ClusterSequence(constituents, fastjet.JetDefinition(fastjet.kt_algorithm, 10.0))
    taus = {}
    for n in (1, 2, 3, 4):
        axes = cluster.exclusive_jets(min(n, len(constituents)))
        to_axes = np.array([_distance(y, phi, axis.rap(), axis.phi_std()) for axis in axes])
        taus[f"tau{n}"] = float((z * to_axes.min(0)).sum() / RADIUS)
    return taus


def _energy_correlations(z: Floats, y: Floats, phi: Floats) -> tuple[float, float, float]:
    hardest = np.argsort(-z)[:HARDEST]
    z, y, phi = z[hardest], y[hardest], phi[hardest]
    apart = _distance(y[:, None], phi[:, None], y, phi)
    ecf2 = float(np.einsum("i,j,ij", z, z, apart) / 2)
    ecf3 = float(np.einsum("i,j,k,ij,jk,ik", z, z, z, apart, apart, apart, optimize=True) / 6)
    return ecf2, ecf3 / max(ecf2**2, 1e-9), ecf3 / max(ecf2**3, 1e-9)


def _soft_drop(constituents: list[Any]) -> tuple[float, float, float]:
    """Groomed mass in GeV, and momentum fraction and angle of the splitting where grooming stops (0 if nowhere)."""
    cluster = fastjet.ClusterSequence(constituents, fastjet.JetDefinition(fastjet.cambridge_algorithm, 10.0))
    jet = cluster.inclusive_jets()[0]
    one, other = fastjet.PseudoJet(), fastjet.PseudoJet()
    while jet.has_parents(one, other):
        z = min(one.pt(), other.pt()) / (one.pt() + other.pt())
        if z > SOFT_DROP_CUT:
            return jet.m(), z, one.delta_R(other)
        jet = fastjet.PseudoJet(one if one.pt() > other.pt() else other)
        one, other = fastjet.PseudoJet(), fastjet.PseudoJet()
    return jet.m(), 0.0, 0.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Generate jets with Pythia 8 and FastJet.")
    parser.add_argument("out", type=Path, help="parquet file to write")
    parser.add_argument("--jets", nargs="+", type=_number_of_jets, metavar="PROCESS=N",
                        default=[("qcd", 20_000), ("w", 10_000), ("top", 10_000)],
                        help=f"processes: {', '.join(PROCESSES)} (default: qcd=20000 w=10000 top=10000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pt-min", type=float, default=500.0, metavar="GEV")
    parser.add_argument("--pt-max", type=float, default=700.0, metavar="GEV")
    arguments = parser.parse_args()
    arguments.jets = dict(arguments.jets)
    return arguments


def _number_of_jets(text: str) -> tuple[str, int]:
    process, _, count = text.partition("=")
    if process not in PROCESSES or not count.isdigit() or int(count) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not PROCESS=N with a process of {', '.join(PROCESSES)}")
    return process, int(count)


if __name__ == "__main__":
    main()
