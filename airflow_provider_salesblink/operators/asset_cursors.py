"""Cursors of an extraction in the state of an asset, which Airflow 3.3 and later keep."""

from __future__ import annotations

from hashlib import sha256
from typing import Any


class AssetCursors:
    """Keeps the cursors in the state of an asset (Airflow 3.3).

    :param state: Airflow's access to the asset's state.
    :param scope: what has cursors of its own: the folder of the files, and the campaign.
    """

    def __init__(self, state: Any, *scope: str | None) -> None:  # noqa: ANN401  # Airflow 3.3 only
        self._state = state
        self._scope = sha256(repr(scope).encode()).hexdigest()[:16]

    def place(self, feed: str) -> str:
        """Return where the text of a feed is kept, for errors."""
        return f"the asset's state, under {self._key(feed)},"

    def load(self, feed: str) -> str | None:
        """Return the text of a feed; None if there is none yet."""
        text = self._state.get(self._key(feed))
        return text if text is None else str(text)

    def save(self, feed: str, text: str) -> None:
        """Keep the text of a feed in place of the earlier one."""
        self._state.set(self._key(feed), text)

    def _key(self, feed: str) -> str:
        return f"salesblink_{feed}_{self._scope}"
