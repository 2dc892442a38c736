"""Environments by their id: finding them, making them, and what is seen when one is tried.

Takes a :class:`Spec`, what a recipe says of an environment; gives the environment with its wrappers
(:mod:`automl_phys.environment_wrappers`), and :class:`Seen`, what agents are planned by. Ids are those of Gymnasium's
registry, with the project's own: ``automl_phys/BeamSteering-v0`` (:mod:`automl_phys.beam_environment`) and
``automl_phys/CoolOscillator-v0`` (:mod:`automl_phys.oscillator_environment`). An id with a colon names a module to
import, which is code of the user's own: it runs only where the spec is ``trusted``. Scaling observations and rewards
is left to whoever trains (:mod:`automl_phys.observation_scale` keeps what it learnt).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module, util
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal

from automl_phys import __version__, environment_modules, machine, zoo
from automl_phys.errors import AutomlPhysError, DataError, Key, Mistake, RunError
from automl_phys.observation_scale import Normalizer

if TYPE_CHECKING:
    from gymnasium import Env
    from gymnasium.envs.registration import EnvSpec

__all__ = ["OWN", "Normalizer", "Observation", "Seen", "Spec", "find", "look", "make", "register"]

Observation = Literal["vector", "image", "discrete", "dict"]
Action = Literal["discrete", "continuous", "multi-discrete", "multi-binary"]

OWN: Mapping[str, tuple[str, int]] = {
    "automl_phys/BeamSteering-v0": ("automl_phys.beam_environment:BeamSteering", 16),
    "automl_phys/CoolOscillator-v0": ("automl_phys.oscillator_environment:CoolOscillator", 200),
}
"""The project's own environments: where each is, and how many steps an episode has."""
ID: Key = ("environment", "id")
ARGUMENTS: Key = ("environment", "arguments")
STACK: Key = ("environment", "frame_stack")
EXTRAS = {"gymnasium.envs.box2d.": ("Box2D", "box2d"), "gymnasium.envs.mujoco.": ("mujoco", "mujoco")}
"""By where an environment is: the package that it imports, and its distribution, after which the extra is called."""
OURS_TO_SET = {"render_mode": "Leave it out: pictures are drawn for the report.",
               "max_episode_steps": "Say time_limit instead.", "id": "Say environment.id.",
               "disable_env_checker": "Leave it out: every environment is checked once."}
"""Arguments of ``gymnasium.make`` that are not the environment's own."""
UNREPRODUCIBLE = ("Deterministic step", "The `.np_random` is not", "share an object", "truncates after 1 step")
"""What the checker says of environments that can be learnt nevertheless."""
SEEDING = "Call super().reset(seed=seed) first in reset, and draw from self.np_random only."
MENDING = "Mend the environment; gymnasium.utils.env_checker.check_env tries it."
EXPECTED = "different from the unwrapped version"
"""What the checker warns of because of the wrapper that we put around."""
ENDLESS = "Episodes have no time limit: an agent that never comes to an end is not stopped. Set time_limit."


@dataclass(frozen=True)
class Spec:
    """An environment as a recipe asks for it; plain values, so that it goes through JSON and into other processes.

    ``time_limit`` is the most steps of an episode, None for the environment's own limit; ``frame_stack`` how many
    observations an agent sees at once, 1 for the last one. ``trusted`` allows code of the user's own, in a module of
    ``folder``, the recipe's, or an installed one.
    """

    id: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    time_limit: int | None = None
    frame_stack: int = 1
    trusted: bool = False
    folder: str = ""


@dataclass(frozen=True)
class Seen:
    """What was seen when an environment was made and checked; observations are those with the wrappers.

    ``observation_size`` counts numbers (all pixels of an image), of a discrete one the values that it may take;
    ``observation_low`` and ``observation_high`` are the ends of all of them, infinite where there are none. ``actions``
    is how many actions there are to choose from or, of those that are not discrete, their dimensions; ``action_low``
    and ``action_high`` are the bounds of each, ``choices`` the values of each dimension that is discrete. ``version``
    names the library and its version, ``notes`` are what the checker found that can be lived with.
    """

    observation: Observation
    observation_size: int
    observation_shape: tuple[int, ...]
    observation_low: float
    observation_high: float
    action: Action
    actions: int
    action_low: tuple[float, ...] = ()
    action_high: tuple[float, ...] = ()
    choices: tuple[int, ...] = ()
    time_limit: int | None = None
    reward_threshold: float | None = None
    renders: bool = False
    version: str = ""
    notes: tuple[str, ...] = ()


# ---------------------------------------------------------------- finding

def register() -> None:
    """Tell Gymnasium of the project's own environments, which are imported only when one is made; again is harmless.
    Raises RunError where Gymnasium is not installed."""
    gymnasium = _gymnasium()
    for name, (entry_point, steps) in OWN.items():
        if name not in gymnasium.registry:
            gymnasium.register(id=name, entry_point=entry_point, max_episode_steps=steps)


def find(spec: Spec) -> None:
    """See that there is such an environment, without making it. Raises DataError: for an id that is not known, one
    whose package is not installed, code of the user's own that is not trusted or not there, and arguments that are not
    the environment's to take."""
    wrong = [Mistake("environment-argument", f"'{name}' is not an argument of an environment.", remedy,
                     (*ARGUMENTS, name)) for name, remedy in OURS_TO_SET.items() if name in spec.arguments]
    if ":" in spec.id:
        wrong += _own_mistakes(spec)
    else:
        wrong += _registry_mistakes(spec.id)
    if wrong:
        raise DataError(wrong)


def _registry_mistakes(name: str) -> list[Mistake]:
    known = _known(name)
    if name not in known:
        return [_unknown(name, known)]
    if _gone(known[name]):
        newest = _newest(name, known)
        return [Mistake("old-environment", f"'{name}' is no environment of Gymnasium's own any more.",
                        f"Take '{newest}'." if newest else "Take one that Gymnasium has itself.", ID)]
    needs = next((needs for start, needs in EXTRAS.items() if str(known[name].entry_point).startswith(start)), None)
    if needs is not None and util.find_spec(needs[0]) is None:
        return [Mistake("missing-package", f"'{name}' needs the package {needs[1]}, which is not installed.",
                        f"Install it with: pip install 'automl-phys[{needs[1]}]'", ID)]
    return []


def _known(name: str) -> Mapping[str, EnvSpec]:
    """Gymnasium's registry, with the project's own environments and, where such a one is asked for, those of ale-py."""
    register()
    gymnasium = _gymnasium()
    if _is_atari(name) and util.find_spec("ale_py") is not None:
        gymnasium.register_envs(import_module("ale_py"))
    known: Mapping[str, EnvSpec] = gymnasium.registry
    return known


def _gone(spec: EnvSpec) -> bool:
    """Whether Gymnasium has, in place of an environment, only a function that says what became of it."""
    return callable(spec.entry_point) and str(getattr(spec.entry_point, "__module__", "")).startswith("gymnasium.")


def _is_atari(name: str) -> bool:
    return name.startswith("ALE/") or "NoFrameskip-v" in name


def _unknown(name: str, known: Mapping[str, EnvSpec]) -> Mistake:
    if _is_atari(name) and util.find_spec("ale_py") is None:
        return Mistake("missing-package", f"'{name}' is a game of the package ale-py, which is not installed.",
                       "Install it with: pip install ale-py", ID)
    newest = _newest(name, known)
    if newest is None:
        plain = {one.lower(): one for one in known if not _gone(known[one])}
        near = get_close_matches(name.lower(), list(plain), n=1, cutoff=0.6)
        near = near or get_close_matches(name.lower(), [one.rpartition("/")[2] for one in plain], n=1, cutoff=0.6)
        newest = next((one for lower, one in plain.items() if near and lower.endswith(near[0])), None)
    return Mistake("unknown-environment", f"There is no environment '{name}'."
                   + (f" Did you mean '{newest}'?" if newest else ""),
                   "Give an id of Gymnasium's registry, or your own as module:Class.", ID)


def _newest(name: str, known: Mapping[str, EnvSpec]) -> str | None:
    """The environment of the same name, of the newest version."""
    stem = zoo.stem(name).lower()
    same = [one for one, spec in known.items() if not _gone(spec) and zoo.stem(one).lower() == stem]
    return max(same, key=lambda one: known[one].version or 0) if same else None


# ---------------------------------------------------------------- code of the user's own

def _is_registered_by_module(name: str) -> bool:
    return zoo.stem(name) != name


def _own_mistakes(spec: Spec) -> list[Mistake]:
    module, _, name = spec.id.partition(":")
    if not all(part.isidentifier() for part in module.split(".")) or not name or ":" in name:
        return [Mistake("unknown-environment", f"'{spec.id}' is not the name of an environment.",
                        "Your own is written module:Class.", ID)]
    if not spec.trusted:
        return [Mistake("untrusted-environment", f"'{spec.id}' is code from outside automl-phys.",
                        f"If you trust it, run with --trust-environment, which runs the code of module {module}.", ID)]
    try:
        _own(spec)
    except DataError as error:
        return list(error.mistakes)
    return []


def _own(spec: Spec) -> Any:
    """The class of ``module:Class``, or the id that ``module:Id-v0`` has registered. The spec is a trusted one."""
    module, _, name = spec.id.partition(":")
    loaded = environment_modules.imported(module, spec.folder)
    if not _is_registered_by_module(name):
        return environment_modules.member(loaded, name)
    if wrong := _registry_mistakes(name):
        raise DataError(wrong)
    return name


# ---------------------------------------------------------------- making

def make(spec: Spec, seed: int | None = None, render: bool = False) -> Env[Any, Any]:
    """The environment with its wrappers, which an agent can be trained in as it is: observations in one array (or a
    mapping of arrays), actions that count from 0.

    ``seed`` is that of the first episode where ``reset`` is not given one. With ``render`` it draws pictures
    (``rgb_array``). Raises DataError as :func:`find` does, for arguments that it does not take, and for spaces that no
    agent can handle; RunError where making it fails, or it draws none.
    """
    from automl_phys.environment_wrappers import Checked, for_agents

    find(spec)
    with _notes():
        made = _made(spec, render)
        if made.metadata.get("jax", False):
            from gymnasium.wrappers import JaxToNumpy

            made = JaxToNumpy(made)
        return for_agents(Checked(made, spec.id, seed), spec.frame_stack, STACK)


def _made(spec: Spec, render: bool) -> Env[Any, Any]:
    """As Gymnasium makes it, time limit included."""
    gymnasium = _gymnasium()
    own = _own(spec) if ":" in spec.id else spec.id
    arguments = {**spec.arguments, **({"render_mode": "rgb_array"} if render else {})}
    try:
        if render and not _draws(own):
            raise RunError(Mistake("no-pictures", f"'{spec.id}' draws no pictures: it has no render mode rgb_array.",
                                   key=ID))
        if isinstance(own, str):
            made = gymnasium.make(own, max_episode_steps=spec.time_limit, disable_env_checker=True, **arguments)
        else:
            made = own(**arguments)
            if isinstance(made, gymnasium.Env) and spec.time_limit is not None:
                made = gymnasium.wrappers.TimeLimit(made, spec.time_limit)
    except AutomlPhysError:
        raise
    except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
        name = error.name if isinstance(error, ModuleNotFoundError) else None
        raise DataError(Mistake("missing-package", f"'{spec.id}' needs a package that cannot be imported: "
                                f"{error.__cause__ or error}",
                                f"Install it with: pip install {name}" if name else "", ID)) from error
    except (TypeError, ValueError) as error:
        names = _arguments(own)
        raise DataError(Mistake("environment-arguments", f"'{spec.id}' cannot be made with these arguments: {error}",
                                f"It takes: {', '.join(names)}." if names else "",
                                ARGUMENTS if spec.arguments else ID)) from error
    except Exception as error:  # whatever an environment raises
        raise RunError(Mistake("environment-raised", f"Making '{spec.id}' raised {type(error).__name__}: {error}", "",
                               ID)) from error
    if not isinstance(made, gymnasium.Env):
        raise DataError(Mistake("not-an-environment", f"'{spec.id}' makes a {type(made).__name__}, no gymnasium.Env.",
                                "Derive the class from gymnasium.Env.", ID))
    done: Env[Any, Any] = made
    return done


def _creator(own: Any) -> Any:
    """The class or function that makes an environment, of an id the one that is registered."""
    if not isinstance(own, str):
        return own
    from gymnasium.envs.registration import load_env_creator

    entry_point = _known(own)[own].entry_point
    return load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point


def _draws(own: Any) -> bool:
    """Whether a class says that it draws pictures; a function says nothing."""
    metadata = getattr(_creator(own), "metadata", None)
    return not isinstance(metadata, dict) or "rgb_array" in (metadata.get("render_modes") or ())


def _arguments(own: Any) -> list[str]:
    """The arguments that an environment has, but for those that are ours to set."""
    try:
        parameters = signature(_creator(own)).parameters.values()
    except (TypeError, ValueError):
        return []
    return [one.name for one in parameters if one.name not in OURS_TO_SET
            and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]


# ---------------------------------------------------------------- looking

def look(spec: Spec) -> Seen:
    """Make the environment, let Gymnasium's checker try it once, and tell what agents are planned by.

    Raises DataError and RunError as :func:`make` does, DataError where the environment breaks Gymnasium's rules.
    """
    made = make(spec)
    from automl_phys.environment_spaces import acted, observed

    try:
        registered = _registered(spec)
        with _notes() as notes:
            _check(spec)
        if registered is not None and str(registered.entry_point).startswith(("gymnasium.", "automl_phys.")):
            notes.clear()  # of ranges that its authors have chosen
        limit = made.get_wrapper_attr("_max_episode_steps") if made.has_wrapper_attr("_max_episode_steps") else None
        if limit is None:
            notes.append(ENDLESS)
        seen, act = observed(made.observation_space), acted(made.action_space)
        return Seen(seen.kind, seen.size, seen.shape, seen.low, seen.high, act.kind, act.count, act.low, act.high,
                    act.choices, limit, _threshold(registered),
                    "rgb_array" in (made.metadata.get("render_modes") or ()), _version(registered),
                    tuple(dict.fromkeys(notes)))
    finally:
        made.close()


def _check(spec: Spec) -> None:
    """Gymnasium's checker on the environment without its time limit."""
    from gymnasium.utils.env_checker import check_env

    from automl_phys.environment_wrappers import Checked

    bare = _made(spec, render=False)
    if bare.metadata.get("jax", False):  # not seeded as others are, and Gymnasium's own
        bare.close()
        return
    tried = Checked(bare.unwrapped, spec.id)
    try:
        check_env(tried, skip_render_check=True, skip_close_check=True)
    except AutomlPhysError:
        raise
    except Exception as error:  # assertions, and errors of many kinds
        text = " ".join(str(error).split())
        if not any(part in text for part in UNREPRODUCIBLE):
            raise DataError(Mistake("environment-check", f"'{spec.id}' breaks a rule of Gymnasium: {text}",
                                    SEEDING if "super()" in text else MENDING, ID)) from error
        warnings.warn(text, stacklevel=2)
    finally:
        tried.close()


@contextmanager
def _notes() -> Iterator[list[str]]:
    """Collect what Gymnasium warns of, without the colours of a terminal."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield found
    texts = (re.sub(r"\x1b\[[0-9;]*m", "", str(one.message)).removeprefix("WARN: ") for one in caught)
    found += [text for text in texts if EXPECTED not in text]


def _registered(spec: Spec) -> EnvSpec | None:
    name = spec.id.rpartition(":")[2]
    return _known(name).get(name) if ":" not in spec.id or _is_registered_by_module(name) else None


def _threshold(registered: EnvSpec | None) -> float | None:
    known = None if registered is None else registered.reward_threshold
    return None if known is None else float(known)


def _version(registered: EnvSpec | None) -> str:
    place = str(registered.entry_point) if registered else ""
    names = [f"gymnasium {machine.version('gymnasium')}"]
    if place.startswith("automl_phys."):
        names.insert(0, f"automl-phys {__version__}")
    package = next((needs[1] for start, needs in EXTRAS.items() if place.startswith(start)), "")
    package = "ale-py" if place.startswith("ale_py") else package
    if package:
        names.append(f"{package} {machine.version(package) or ''}".rstrip())
    return ", ".join(names)


def _gymnasium() -> Any:
    try:
        import gymnasium
        import gymnasium.wrappers
    except ImportError as error:
        raise RunError(Mistake("missing-package", "Environments need the package gymnasium, which is not installed.",
                               "Install it with: pip install 'gymnasium[classic-control]'")) from error
    return gymnasium
