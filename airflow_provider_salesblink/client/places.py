"""Where the users of a key keep what they share: a file of this machine, or a Redis server of several."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from airflow_provider_salesblink.client.errors import InvalidInputError


@dataclass(frozen=True)
class Place:
    """A file, or a name in a Redis server.

    :param name: of the key and root URL together; tells nothing of either.
    :param path: of the file; None for a Redis server.
    :param redis_url: of the server; empty for a file.
    """

    name: str
    path: Path | None = None
    redis_url: str = ""


def place(pacing_url: str, *, key: str, base_url: str) -> Place:
    """The place that ``pacing_url`` names for everything that uses ``key`` at ``base_url``.

    :raises InvalidInputError: another kind of URL, or a temporary folder that others on this machine could change.
    """
    name = hashlib.blake2b(f"{base_url}\n{key}".encode(), digest_size=12, person=b"salesblink-pace").hexdigest()
    if pacing_url.startswith(("redis://", "rediss://", "unix://")):
        return Place(name, redis_url=pacing_url)
    if pacing_url.startswith("file:///"):
        return Place(name, Path(unquote(pacing_url.removeprefix("file://"))))
    if not pacing_url:
        return Place(name, _own_folder() / f"{name}.sqlite")
    raise InvalidInputError(
        "pacing_url is neither redis://host/..., rediss://host/..., unix:///path nor file:///path: "
        "mend it, or leave it empty to share the budget within this machine."
    )


def _own_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"airflow-provider-salesblink-{os.getuid()}"
    with suppress(OSError):
        folder.mkdir(mode=0o700)
    # The name can be guessed, so somebody else could have made it first.
    if not _is_own_folder(folder):
        raise InvalidInputError(
            f"{folder} is not a folder that only this user can write to: "
            "remove it, or say with pacing_url=file:///... where the request count should be kept."
        )
    return folder


def _is_own_folder(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
