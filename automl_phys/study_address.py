"""Where the search keeps its record, as an address: a file of the run, or a PostgreSQL server.

Takes the address of a recipe; says what is wrong with it, or gives it as SQLAlchemy wants it. Opens nothing; standard
library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

SCHEMES = ("postgresql", "postgresql+psycopg")
SECRETS = ("password", "sslpassword", "passfile")


def broken(address: str) -> Iterator[tuple[str, str]]:
    """What is wrong with an address: text and remedy. A password is never repeated in them."""
    parts = urlsplit(address)
    if parts.scheme not in SCHEMES:
        yield (f"'{parts.scheme or 'no scheme'}' is no kind of storage.",
               "Write postgresql+psycopg://HOST/DATABASE; or leave 'storage' out: then it is a file of the run.")
        return
    if parts.password is not None or any(key.lower() in SECRETS for key, _ in parse_qsl(parts.query)):
        yield ("The address holds a password, which would stand in every copy of the recipe and of its runs.",
               "Take it out, and put it into ~/.pgpass, or into the environment as PGPASSWORD.")
    if not parts.path.strip("/"):
        yield ("The address names no database.", "Write postgresql+psycopg://HOST/DATABASE.")


def complete(address: str) -> str:
    """The address with its driver: psycopg 3, where none is named."""
    scheme, colon, rest = address.partition(":")
    return f"{SCHEMES[1] if scheme == SCHEMES[0] else scheme}{colon}{rest}"
