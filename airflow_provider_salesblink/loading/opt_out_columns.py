"""Opt-outs in a source's columns: which columns hold them, in which words, and which columns look forgotten."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from datetime import date

from airflow_provider_salesblink.client.cell_values import trimmed
from airflow_provider_salesblink.client.columns import plain
from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.client.redaction import redacted

log = logging.getLogger(__name__)

SAYS_SO = (
    "unsubscribed", "unsubscribe", "unsub", "opted out", "opt out", "do not contact", "do not email", "do not mail",
    "do not call", "dnc", "suppressed", "blocked", "blocklisted", "blacklisted", "never contact",
)  # fmt: skip
"""Words that say opt-out in any column."""

OPTED_OUT = ("true", "yes", "y", "t", "1", "x", "on", *SAYS_SO)
NOT_OPTED_OUT = ("false", "no", "n", "f", "0", "off", "subscribed", "active", "opted in", "opt in")
"""Both are compared without case, blanks, hyphens and underscores."""

_MARKS = frozenset("✓✔☑")
_ONE_OR_NONE = re.compile(r"([01])[.,]0{1,2}")
_NO_WORD = re.compile(r"[\s_-]+")
_EARLIEST, _LATEST = date(1990, 1, 1), date(2098, 12, 31)
"""Other dates stand for no date in some databases: 0001-01-01, 1900-01-01, 1970-01-01, 9999-12-31."""
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)([T ]\d\d:\d\d[\d:.,]* ?(Z|UTC|GMT|[+-]\d\d(:?\d\d)?)?)?", re.IGNORECASE)

_SAYS_SO = tuple(map(plain, SAYS_SO))
_OPTED_OUT = frozenset(map(plain, OPTED_OUT))
_NOT_OPTED_OUT = frozenset(map(plain, NOT_OPTED_OUT))

_OPT_OUT_NAME = re.compile(
    r"(is|has|hs|sf|lead|person|contact|user|customer|prospect|account|global|globally|all|email|mail|marketing|date)*"
    r"(optedout|optout|optsout|unsubscribed?|unsubs?|donot(contact|e?mail|call|sms|disturb|market|solicit|sync)s?|dnc|dne|"
    r"(suppressed|suppressions?|blacklist(ed)?|blocklist(ed)?|blocked|denylist(ed)?|quarantined))"
    r"(of|from|for|by|in|all|any|e?mails?|marketing|communications?|newsletters?|lists?|campaigns?|information|"
    r"subscriptions?|global|at|on|date|time|timestamp|flag|status|state|reason|user|sms|sales|\d)*"
)
_OPT_IN_NAME = re.compile(
    r"consent|accept|allow|permission|agree|oktoe?mail|oktocontact|can(send|e?mail|contact|be)|contactable|mailable|newsletter|"
    r"optin|optedin|(?<!un)subscribe[dr]|not?opt(ed)?out"
)
_OPT_OUT_AFTER_ALL = re.compile(
    r"unsub|(?<!not)(?<!no)opt(ed)?out|withdr|revok|declin|refus|den(y|ied)|donot|dont|disallow|without|no(consent|permission)"
)
_STATE_NAME = re.compile(r".*(status|state|stage|subscri|consent|permission|preference|disposition|gdpr|optin).*")
_MOST_JUDGED = 1000
_LONGEST_NAME = 100


def says_opted_out(text: str) -> bool | None:
    """Return whether a cell says that the person opted out; None if its word is not known."""
    text = trimmed(text)
    word = _NO_WORD.sub("", text).casefold()
    if not text or word in _NOT_OPTED_OUT:
        return False
    if word in _OPTED_OUT or text in _MARKS or _is_date(text):
        return True
    number = _ONE_OR_NONE.fullmatch(text)
    return number[1] == "1" if number else None


def judged(cells: Iterable[tuple[str, str | None]]) -> tuple[bool, str]:
    """Return whether a row's opt-out cells say that the person opted out, and if not, what is wrong with the cells.

    :param cells: names of columns, and their texts; None for a value that is not a single value.
    """
    problem = ""
    for name, text in cells:
        said = None if text is None else says_opted_out(text)
        if said:
            return True, ""
        if said is None:
            problem = (
                f"Its opt-out column {redacted(name[:40])!r} holds an unknown word. Opted out: {', '.join(OPTED_OUT)}, "
                f"or a date like 2027-01-31. Not opted out: an empty cell, {', '.join(NOT_OPTED_OUT)}."
            )
    return False, problem


class OptOutColumns:
    """The columns that say who opted out, and other columns that look as if they did.

    :param named: the columns as the source calls them.
    :param is_watching: whether to look for columns that should have been named.
    :raises InvalidInputError: when this is not a list of names, or a name says who agreed.
    """

    def __init__(self, named: Iterable[str], *, is_watching: bool = True) -> None:
        self._is_watching = is_watching
        self.named = _checked(named)
        self._unseen = dict.fromkeys(self.named)
        self._suspects: dict[str, None] = {}
        self._judged: dict[tuple[str, str], None] = {}

    def __bool__(self) -> bool:
        return bool(self.named)

    def has(self, name: str) -> bool:
        """Return whether a column of the source is one of the named ones."""
        for named in self.named:
            if name == named or (plain(name) and plain(name) == plain(named)):
                self._unseen.pop(named, None)
                return True
        return False

    def unseen(self) -> list[str]:
        """Return the named columns that the source has not shown."""
        return list(self._unseen)

    def is_state(self, name: str) -> bool:
        """Note a column that is not named; return whether its cells should be checked too."""
        if not self._is_watching:
            return False
        word = plain(name)[:_LONGEST_NAME]
        if _OPT_OUT_NAME.fullmatch(word):
            self._suspects[name] = None
            return False
        return _STATE_NAME.fullmatch(word) is not None

    def see(self, name: str, text: str | None) -> bool:
        """Note a cell of a column of states; return whether more of its cells should be checked."""
        if text and (seen := (name, text[:40])) not in self._judged:
            if len(self._judged) < _MOST_JUDGED:
                self._judged[seen] = None
            if plain(text[:40]).startswith(_SAYS_SO):
                self._suspects[name] = None
        return name not in self._suspects

    def warn(self) -> None:
        """Log the columns that look like opt-outs and are not named."""
        if not self._suspects:
            return
        names = [redacted(name)[:_LONGEST_NAME] for name in list(self._suspects)[:10]]
        log.warning(
            "%s: this looks like people who opted out, and the load ignores it. Pass opt_out_columns=%s so that nobody "
            "who said no is mailed, or opt_out_columns=[] if it means something else.",
            f"Column {names[0]!r}" if len(names) == 1 else f"Columns {', '.join(map(repr, names))}",
            names,
        )


def _checked(named: object) -> list[str]:
    if isinstance(named, str) or not isinstance(named, Iterable) or not all(isinstance(name, str) for name in named):
        raise InvalidInputError(f"opt_out_columns is a {type(named).__name__}: pass a list of the source's columns.")
    names = [trimmed(name) for name in named]
    for name in names:
        if not name:
            raise InvalidInputError("opt_out_columns has an empty name: its template may have found nothing.")
        word = plain(name)[:_LONGEST_NAME]
        if _OPT_IN_NAME.search(word) and not _OPT_OUT_AFTER_ALL.search(word):
            raise InvalidInputError(
                f"opt_out_columns names {redacted(name)[:40]!r}, which by its name says who agreed, not who opted out: "
                "true would mean the opposite. Invert the column in the source, and rename it."
            )
    return names


def _is_date(text: str) -> bool:
    found = _DATE.fullmatch(text)
    if not found:
        return False
    try:
        day = date.fromisoformat(found[1])
    except ValueError:
        return False
    return _EARLIEST <= day <= _LATEST
