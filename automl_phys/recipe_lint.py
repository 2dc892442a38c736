"""What should not be given away: secrets, absolute paths, names of home folders and of users, addresses of e-mail.

Takes texts, or the text files of a folder; gives what was found as mistakes with their places. Looks at the text
itself, so that comments and descriptions count too. A secret that looks like none is not found: a net, not a proof.
"""

from __future__ import annotations

import getpass
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from automl_phys.errors import CallError, Mistake, Place

ENDINGS = (".yaml", ".yml", ".json", ".md", ".txt")
LARGEST_BYTES = 5_000_000
MOST_PER_FILE = 20
"""More findings in one file tell nothing new."""

TOKENS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"), "a private key"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "an access key of AWS"),
    (re.compile(r"\b(?:gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,})"), "a token of GitHub"),
    (re.compile(r"\bgl(?:pat|dt|rt|cbt)-[\w-]{16,}"), "a token of GitLab"),
    (re.compile(r"\bxox[abprs]-[\w-]{10,}"), "a token of Slack"),
    (re.compile(r"\bhf_[A-Za-z0-9]{20,}"), "a token of Hugging Face"),
    (re.compile(r"\bAIza[\w-]{30,}"), "a key of Google"),
    (re.compile(r"\bsk-[\w-]{20,}"), "an API key"),
    (re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\."), "a web token"),
    (re.compile(r"://[^/\s:@]+:[^/\s:@]+@"), "a password in an address"),
)
NAMED = re.compile(r"(?i)(?<![a-z])(?:\w*[_-])?(password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|"
                   r"credentials?)[\"']?\s*[:=]\s*[\"']?([^\s\"',}\]#]{4,})")
NO_SECRETS = re.compile(r"(?i)null|none|true|false|auto|[-+.\deE]+|<.*|\$\{.*|\*+")
WORD = re.compile(r"[A-Za-z0-9+/_=-]{28,}")
LEAST_ENTROPY = 4.2
"""Bits per character; words and names have about 3.5, random letters and digits more than 4.5."""

HOME = re.compile(r"(?i)/(?:home|users)/[\w.-]+|[a-z]:\\+users\\+[\w.-]+|/(?:afs/[\w.]+/user|eos/user|u)/\w/[\w.-]+|"
                  r"(?<![\w~])~[\w.-]*/|/root/")
ABSOLUTE = re.compile(r"(?:^|(?<=[\s\"'\[{:,=(]))(?:/[\w.@+-]+(?:/[\w.@+*?-]+)+|[A-Za-z]:\\+[\w.-]+)")
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b")
SHARED_NAMES = {"root", "user", "users", "home", "admin", "ubuntu", "runner", "nobody", "test", "docker", "guest"}
"""Log-in names that tell nothing of a person."""

PICTURE = re.compile(r"[A-Za-z0-9+/]{1000,}={0,2}")
"""So many such characters in a row are a film or a picture in base64, and random by nature; keys are shorter."""


def look(text: str, name: str) -> list[Mistake]:
    """What should not be given away in a text, each with its line, in their order."""
    user = _user()
    found: list[Mistake] = []
    for number, line in enumerate(text.splitlines(), start=1):
        for column, code, said, remedy in _of_line(line, user):
            found.append(Mistake(code, said, remedy, place=Place(name, number, column)))
            if len(found) == MOST_PER_FILE:
                return found
    return found


def look_at(paths: Iterable[Path]) -> list[Mistake]:
    """The same of files, and of all text files in folders, hidden ones left out. Raises CallError for a path that
    cannot be read."""
    found: list[Mistake] = []
    for path in paths:
        for file in sorted(_texts(path)) if path.is_dir() else [path]:
            try:
                raw = file.read_bytes() if file.stat().st_size <= LARGEST_BYTES else b""
            except OSError as error:
                raise CallError(Mistake("unreadable", f"{file} cannot be read: {error.strerror}.",
                                        "Give a recipe, or a folder of recipes.")) from error
            found += look(raw.decode("utf-8", "replace"), str(file))
    return found


def _texts(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.suffix.lower() in ENDINGS and not hidden and file.is_file():
            yield file


def _of_line(line: str, user: str) -> Iterator[tuple[int, str, str, str]]:
    """Column, code, text and remedy of each finding, one for each stretch of the line."""
    line = PICTURE.sub(lambda found: " " * len(found[0]), line)
    taken: list[tuple[int, int]] = []
    for start, end, code, said, remedy in _candidates(line, user):
        if all(end <= low or start >= high for low, high in taken):
            taken.append((start, end))
            yield start + 1, code, said, remedy


def _candidates(line: str, user: str) -> Iterator[tuple[int, int, str, str, str]]:
    """All that patterns find, what matters most first; secrets are shown by their first letters only."""
    away = "Take it out, and have it made invalid if anyone may have seen it."
    for pattern, what in TOKENS:
        for found in pattern.finditer(line):
            yield *found.span(), "secret", f"This looks like {what}: {found[0][:4]}…", away
    for found in NAMED.finditer(line):
        if not NO_SECRETS.fullmatch(found[2]):
            yield *found.span(), "secret", f"A {found[1].lower()} seems to be written here.", away
    for found in HOME.finditer(line):
        yield (*found.span(), "home-folder", f"This names a home folder: {found[0]}",
               "Write a path relative to the recipe.")
    for found in ABSOLUTE.finditer(line):
        yield (*found.span(), "absolute-path", f"This path is absolute: {found[0]}",
               "Write it relative to the recipe: others have other folders.")
    for found in EMAIL.finditer(line):
        yield *found.span(), "email", f"This is an address of e-mail: {found[0]}", "Take it out if it is a person's."
    for found in re.finditer(rf"(?i)(?<![a-z0-9]){re.escape(user)}(?![a-z0-9])", line) if user else ():
        yield *found.span(), "user-name", f"This is your log-in name: {found[0]}", "Take it out, or let it be known."
    for found in WORD.finditer(line):
        if _random(found[0]):
            yield *found.span(), "secret", f"This looks as random as a key: {found[0][:4]}…", away


def _random(word: str) -> bool:
    """Whether a word is drawn rather than written; hexadecimal digests are everywhere and no secrets."""
    if re.fullmatch(r"[0-9a-fA-F]+", word) or not all(re.search(kind, word) for kind in ("[a-z]", "[A-Z]", r"\d.*\d")):
        return False
    counts = Counter(word)
    entropy = -sum(n / len(word) * math.log2(n / len(word)) for n in counts.values())
    return entropy >= LEAST_ENTROPY


def _user() -> str:
    """The user's log-in name, if it is one of a person."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # no such user is known, as in some containers
        return ""
    return name if len(name) > 2 and name.lower() not in SHARED_NAMES else ""
