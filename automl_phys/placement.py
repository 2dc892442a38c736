"""Where the trials of a run go: which GPUs, how many workers on these and on the CPU, and what networks compute in.

A part of the planner, and as pure: takes the recipe's section ``compute``, the machine and the families that were
chosen; gives GPUs, the device of each worker and the precision, with reasons.

Families that a GPU does nothing for run on the cores that the trials on GPUs leave. Each trial on a GPU keeps its
threads to itself, for reading its data and for what stands between two steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from automl_phys import gpus as names
from automl_phys import readable, space
from automl_phys.decisions import Chosen
from automl_phys.errors import Mistake, RecipeError
from automl_phys.facts import Facts, Gpu, Machine

if TYPE_CHECKING:
    from automl_phys.compute_sections import Compute

BFLOAT16_SINCE = 8.0
"""Compute capability of the first GPUs that multiply matrices of bfloat16 (Ampere)."""

ALWAYS_FLOAT32 = ("generate", "reinforce")
"""Tasks that judge a network by what it does while it is trained, with functions that are compiled once."""


def gpus(
    compute: Compute, machine: Machine, families: Sequence[Chosen], reasons: list[str]
) -> tuple[str, ...]:
    """Names of the GPUs that are used, each once; none where no family takes one. Raises RecipeError for what is asked
    for and is not there."""
    wanted = compute.gpus
    if wanted == "none":
        return ()
    if isinstance(wanted, tuple):
        if compute.executor == "inline":
            raise RecipeError(Mistake(
                "no-gpu-inline", "Executor 'inline' runs trials in this process, which keeps off the GPUs.",
                "Use executor dask, or leave 'gpus' out.", ("compute", "gpus")))
        found = _asked_for(wanted, machine)
    else:
        found = machine.gpus
    if not found:
        return ()
    if compute.executor == "inline":
        reasons.append("No GPU is used: executor 'inline' runs trials in this process, which keeps off them.")
        return ()
    if all(chosen.device == "cpu" for chosen in families):
        reasons.append(f"{readable.count(len(found), 'GPU')} would lie idle: no family here can use one.")
        return ()
    each = compute.trials_per_gpu
    reasons.append(f"{readable.count(len(found), 'GPU')}, {readable.count(each, 'trial')} on each at a time.")
    return found


def devices(
    compute: Compute, trials: int, machine: Machine, gpus: Sequence[str], threads: int, memory_mb: int,
    families: Sequence[Chosen], reasons: list[str],
) -> tuple[str, ...]:
    """The device of each worker, host by host, those on GPUs first. Where one worker is all there may be, it is on a
    GPU if there is one, and does all trials."""
    if compute.executor == "inline":
        reasons.append("One worker, in this process: executor 'inline' is for debugging.")
        return ("cpu",)
    on_gpus = [gpu for _ in range(compute.trials_per_gpu) for gpu in gpus]
    beside = [chosen for chosen in families if chosen.device == "cpu"]
    if compute.workers != "auto":
        return _of_number(compute.workers, on_gpus, bool(beside), reasons)
    cores = (machine.cores - len(on_gpus) * threads) // threads
    # A batch job for one trial has no place for another.
    fewest = 1 if not on_gpus or (machine.hosts == 1 and not compute.elsewhere) else 0
    most = max(fewest, cores) if beside else 0
    if on_gpus and len(beside) == 1 and _is_tried_once(beside[0]):
        most = 1
    slots = len(on_gpus) + most
    largest = max(families, key=lambda chosen: chosen.memory_mb)
    fitting = max(1, memory_mb // largest.memory_mb)
    per_host = min(slots, fitting)
    if fitting < slots:
        reasons.append(f"{per_host} of {slots} slots are used: family {largest.family} needs about "
                       f"{largest.memory_mb} MB and {memory_mb} MB may be used.")
    host = _shared_out(per_host, on_gpus, most)
    found = host * machine.hosts
    if len(found) > trials:
        found = _shared_out(trials, [one for one in found if one != "cpu"], found.count("cpu"))
    if not compute.elsewhere:  # which has been told
        _tell(found, machine, threads, beside, reasons)
    return tuple(found)


def precision(
    compute: Compute, task: str, facts: Facts, machine: Machine, gpus: Sequence[str], reasons: list[str]
) -> str:
    """``float32`` or ``mixed_bfloat16``. Raises RecipeError where mixed is asked for and cannot be had."""
    cards = [card for gpu in gpus if (card := _card(machine, gpu))]
    old = [card for card in cards if card.capability and float(card.capability) < BFLOAT16_SINCE]
    if compute.precision == "mixed":
        if task in ALWAYS_FLOAT32:
            raise RecipeError(Mistake("no-mixed-precision", f"Networks of task '{task}' are trained in float32 only.",
                                      "Leave 'precision' out.", ("compute", "precision")))
        if old:
            raise RecipeError(Mistake(
                "no-bfloat16", f"{old[0].model} (compute capability {old[0].capability}) has no bfloat16, and networks "
                "are not trained in float16 here: that would need losses scaled.",
                f"Take precision float32, or GPUs of compute capability {BFLOAT16_SINCE:g} and above.",
                ("compute", "precision")))
        reasons.append("Networks train in bfloat16 where they multiply matrices, as asked for, and predict in float32.")
        return "mixed_bfloat16"
    able = bool(cards) and len(cards) == len(gpus) and all(card.capability for card in cards) and not old
    if compute.precision == "auto" and facts.kind == "images" and able:
        reasons.append("Networks train in bfloat16 where they multiply matrices, which these GPUs do faster for "
                       "images, and predict in float32.")
        return "mixed_bfloat16"
    return "float32"


def _asked_for(wanted: Sequence[int | str], machine: Machine) -> tuple[str, ...]:
    if not machine.gpus:
        raise RecipeError(Mistake("no-such-gpu", "GPUs are asked for, and this machine has none.",
                                  "Use 'gpus: auto' to take what there is.", ("compute", "gpus")))
    found: dict[str, str] = {}
    absent, twice = [], []
    for word in wanted:
        meant = [gpu for gpu in machine.gpus if _is_meant(word, gpu, _card(machine, gpu))]
        absent += [] if meant else [str(word)]
        twice += [str(word)] if any(gpu in found for gpu in meant) else []
        found.update({gpu: gpu if _is_slice(machine, gpu) else f"gpu:{word}" for gpu in meant})
    there = "; ".join(_in_words(machine, gpu) for gpu in machine.gpus)
    if absent:
        raise RecipeError(Mistake("no-such-gpu", f"There is no GPU {', '.join(absent)} here.", f"There is {there}.",
                                  ("compute", "gpus")))
    if twice:
        raise RecipeError(Mistake("gpu-twice", f"GPU {', '.join(twice)} is in the list already, by another name.",
                                  f"Name each once. There is {there}.", ("compute", "gpus")))
    return tuple(found.values())


def _is_meant(word: int | str, gpu: str, card: Gpu | None) -> bool:
    """Whether a word of the recipe means this GPU; one in MIG mode stands for its slices."""
    if gpu == f"gpu:{word}":
        return True
    return card is not None and (card.number == word if isinstance(word, int) else word in (card.uuid, card.of))


def _card(machine: Machine, gpu: str) -> Gpu | None:
    """What is known of a GPU, by any of its names."""
    return next((card for name, card in zip(machine.gpus, machine.cards, strict=False)
                 if gpu in (name, names.name(card), f"gpu:{card.uuid}")), None)


def _is_slice(machine: Machine, gpu: str) -> bool:
    card = _card(machine, gpu)
    return bool(card and card.of)


def _in_words(machine: Machine, gpu: str) -> str:
    card = _card(machine, gpu)
    name = gpu.removeprefix("gpu:")
    if card is None:
        return name
    of = f" of GPU {card.number}" if card.of else ""
    return f"{name} ({card.model}{f', slice {card.profile}' if card.profile else ''}{of})"


def _is_tried_once(chosen: Chosen) -> bool:
    """A baseline that stands beside what is searched."""
    return len(chosen.defaults) == 1 and space.is_fixed(chosen.space)


def _shared_out(count: int, on_gpus: Sequence[str], on_cpu: int) -> list[str]:
    """So many workers, on GPUs as far as these go but for one on the CPU, if any is wanted there."""
    fewest = 1 if on_cpu and on_gpus and count > 1 else 0
    taken = list(on_gpus)[: max(0, count - fewest)]
    return taken + ["cpu"] * min(on_cpu, count - len(taken))


def _of_number(count: int, on_gpus: Sequence[str], beside: bool, reasons: list[str]) -> tuple[str, ...]:
    """As many workers as the recipe says; on GPUs no more than may share them."""
    found = _shared_out(count, on_gpus, count if beside or not on_gpus else 0)
    if len(found) < count:
        reasons.append(f"{len(found)} of {count} workers are used: all trials run on GPUs, which take no more at a "
                       "time.")
    return tuple(found)


def _tell(
    found: Sequence[str], machine: Machine, threads: int, beside: Sequence[Chosen], reasons: list[str]
) -> None:
    where = f" on {machine.hosts} hosts" if machine.hosts > 1 else ""
    reasons.append(f"{readable.count(len(found), 'worker')}{where} with {readable.count(threads, 'thread')} each "
                   f"for {machine.cores} cores{' a host' if machine.hosts > 1 else ''}.")
    if machine.hosts * machine.cores < threads * len(found) and len(found) > 1:
        reasons.append("These are more threads than cores: 'compute.threads' says how many a trial has.")
    on_cpu = sum(one == "cpu" for one in found)
    families = ", ".join(chosen.family for chosen in beside)
    if 0 < on_cpu < len(found):
        reasons.append(f"{on_cpu} of them on the CPU, for what a GPU does nothing for: {families}.")
    elif beside and not on_cpu:
        reasons.append(f"There is no place for a worker beside the GPU's, so {families} and the networks take turns.")
