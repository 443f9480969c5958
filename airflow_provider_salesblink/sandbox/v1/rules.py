"""How the v1 API behaves where nobody has documented it. Tests set each rule in all positions."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_type_hints

from airflow_provider_salesblink.sandbox.options import (
    SandboxUsageError,
    parse_number,
    parse_pairs,
    parse_whole_number,
    require_known,
)

WORDS_FOR_TRUE = ("true", "yes", "1")
WORDS_FOR_FALSE = ("false", "no", "0")


@dataclass(frozen=True)
class V1Rules:
    """The behavior of the v1 API where the facts are unknown.

    :param import_delay: seconds from the answer of ``POST /contacts`` until the leads are on the list.
    :param dedupe_delay: seconds from then until duplicates are removed, if the request asked for it.
    :param mails_before_dedupe: new leads in a running sequence start before duplicates are removed.
    :param dedupe_keeps: which one of several leads with one address stays.
    :param dedupe_case: whether two spellings of an address that differ in case are duplicates.
    :param duplicate_removal_other_list: new leads that are on another list already are removed too.
    :param import_loses: share of the accepted contacts that never appear.
    :param import_archives: share of the accepted contacts that appear as archived leads, as after a verification.
    :param columns: ``any`` also accepts names such as ``First_Name``, as the API did until August 2026.
    :param active_alone: the status ``ACTIVE`` resumes a sequence; if false, only a PATCH does.
    :param replan_starts_again: a PATCH of a running sequence starts all its people again.
    :param needs_evergreen: people added to a running sequence start only if it is evergreen.
    :param lists_in_listing: ``GET /sequences`` shows the lists of each sequence.
    :param clone_keeps_lists: a clone has the lists of the original.
    :param unran_lists_leads: a sequence that never ran shows the leads of its lists.
    :param single_list: ``GET /lists/{id}`` answers with an object, or an array of one object.
    :param archived_leads: whether archived leads are shown when the request does not say.
    :param list_count: what ``contacts_count`` of a list counts: leads without the archived ones, all leads, or it is
        missing.
    :param export: what the CSV export has: all columns, no state, or there is no export (404).
    :param lead_columns: where a lead object has its custom columns.
    :param lead_case: spelling of the columns in a lead object: ``first_name`` or ``First_Name``.
    :param activity_lead: which of several leads ``GET /leads/activity`` shows.
    :param check_shape: how ``GET /unsubscribe/check`` says that an address is blocked: ``data.blocked``, only ``data``,
        ``blocked``, ``exists``, or the entries that block it.
    :param check_domain: a blocked domain counts there too.
    :param blocklist_shape: where ``GET /unsubscribe`` has its entries: ``data``, ``data.entries`` or ``data.data``.
    :param blocklist_delay: seconds until the blocklist shows a person who unsubscribed. Mail stops at once.
    :param feed_order: order of events in feeds and reports: by their times, or the latest to arrive first. With
        ``shuffled_ties``, the newest come first, and those of the same millisecond in another order on each page.
    :param feed_moves: at every n-th page of a feed or of the reports, an event arrives that was still to come, so that
        later pages move; 0 = never.
    :param feed_repeats: every n-th page begins with the last event of the page before it; 0 = never.
    :param feed_lead: name under which an event has the id of its lead.
    :param event_sequence: name under which an event has the id of its sequence.
    :param event_time: time of an event as Unix milliseconds, or as ISO text.
    :param from_inclusive: an event at exactly ``from`` is part of the window.
    :param to_inclusive: an event at exactly ``to`` is part of the window.
    :param second_sender: the health that the second mailbox shows: it is healthy, not connected, not allowed to send,
        has an error, or shows nothing of these (``unknown``).
    :param feed_envelope: feeds answer with an envelope instead of a bare array.
    :raises SandboxUsageError: a value is unknown or out of range.
    """

    import_delay: float = 0.02
    dedupe_delay: float = 0.02
    mails_before_dedupe: bool = True
    dedupe_keeps: Literal["oldest", "newest"] = "oldest"
    dedupe_case: Literal["folded", "exact"] = "folded"
    duplicate_removal_other_list: bool = False
    import_loses: float = 0.0
    import_archives: float = 0.0
    columns: Literal["snake_case", "any"] = "snake_case"
    active_alone: bool = True
    replan_starts_again: bool = False
    needs_evergreen: bool = False
    lists_in_listing: bool = True
    clone_keeps_lists: bool = True
    unran_lists_leads: bool = False
    single_list: Literal["object", "array"] = "object"
    archived_leads: Literal["left_out", "included"] = "left_out"
    list_count: Literal["active", "all", "missing"] = "active"
    export: Literal["full", "no_state", "none"] = "full"
    lead_columns: Literal["flat", "custom_fields"] = "flat"
    lead_case: Literal["snake", "title"] = "snake"
    activity_lead: Literal["oldest", "newest"] = "oldest"
    check_shape: Literal["data", "bare", "blocked", "exists", "array"] = "data"
    check_domain: bool = True
    blocklist_shape: Literal["data", "entries", "data.data"] = "data"
    blocklist_delay: float = 0.0
    feed_order: Literal["newest", "oldest", "arrival", "shuffled_ties"] = "newest"
    feed_moves: int = 0
    feed_repeats: int = 0
    feed_lead: Literal["none", "lead", "lead_id"] = "none"
    event_sequence: Literal["sequence", "sequence_id"] = "sequence"
    event_time: Literal["ms", "iso"] = "ms"
    from_inclusive: bool = True
    to_inclusive: bool = True
    feed_envelope: bool = False
    second_sender: Literal["healthy", "disconnected", "disabled", "error", "unknown"] = "healthy"

    def __post_init__(self) -> None:
        for name, words in choices().items():
            if words:
                require_known(getattr(self, name), words, name)
            elif not getattr(self, name) >= 0:
                message = f"{name} must be at least 0"
                raise SandboxUsageError(message)
        for name in ("import_loses", "import_archives"):
            if getattr(self, name) > 1:
                message = f"{name} must be at most 1"
                raise SandboxUsageError(message)

    @classmethod
    def parse(cls, text: str) -> V1Rules:
        """Parse ``import_delay=0.5,columns=any``. All other rules keep their defaults."""
        values = parse_pairs(text, choices(), "rule of the v1 API")
        return cls(**{name: _value(name, word) for name, word in values.items()})


def choices() -> dict[str, tuple[Any, ...]]:
    """Return the values that each rule accepts; none where it is a number."""
    return {name: _words(hint) for name, hint in _HINTS.items()}


def _words(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401  # a type
    return (True, False) if hint is bool else get_args(hint)


def _value(name: str, word: str) -> Any:  # noqa: ANN401  # what the rule's type says
    if _HINTS[name] is float:
        return parse_number(word, name)
    if _HINTS[name] is int:
        return parse_whole_number(word, name)
    if _HINTS[name] is not bool:
        return word
    require_known(word.casefold(), (*WORDS_FOR_TRUE, *WORDS_FOR_FALSE), f"value of {name}")
    return word.casefold() in WORDS_FOR_TRUE


_TYPES = get_type_hints(V1Rules)
_HINTS = {field.name: _TYPES[field.name] for field in fields(V1Rules)}
