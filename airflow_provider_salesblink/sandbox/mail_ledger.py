"""The ledger of mails that would start: who, in which sequence, why, and when. The sandbox sends no email."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_salesblink.sandbox.addresses import find_email
from airflow_provider_salesblink.sandbox.event_store import SENT
from airflow_provider_salesblink.sandbox.records import Start

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox.blocklist_store import BlocklistStore, Run
    from airflow_provider_salesblink.sandbox.event_store import EventStore
    from airflow_provider_salesblink.sandbox.records import StartReason
    from airflow_provider_salesblink.sandbox.v1.rules import V1Rules

# The leads that a running sequence could have tasks for, with how often they have started in it.
CANDIDATES = """
SELECT c.id, p.id, p.fields, p.unsubscribed, coalesce(s.started, 0)
FROM campaign c JOIN attached a ON a.campaign_id = c.id
JOIN lead_list l ON l.id = a.list_id JOIN prospect p ON p.list_id = l.id
LEFT JOIN planned s ON s.sequence_id = c.id AND s.lead_id = p.id
WHERE NOT c.paused AND NOT c.archived AND NOT l.archived AND NOT p.archived AND NOT coalesce(s.removed, 0)
"""


@dataclass(frozen=True)
class _Candidate:
    sequence_id: str
    lead_id: str
    email: str
    unsubscribed: bool
    started: int


class MailLedger:
    """Decides who starts in which sequence, and keeps the result.

    :param run: executes a statement with its values, and returns the rows.
    :param rules: returns the current rules of the v1 API.
    """

    def __init__(self, run: Run, blocklist: BlocklistStore, events: EventStore, rules: Callable[[], V1Rules]) -> None:
        self._run = run
        self._blocklist = blocklist
        self._events = events
        self._rules = rules

    def enter(self, lead_id: str, reason: StartReason) -> None:
        """Start a lead that has come onto its list in the running sequences of the list."""
        evergreen = "AND json_extract(c.settings, '$.evergreen')" if self._rules().needs_evergreen else ""
        self._start_new(self._candidates(f"{evergreen} AND p.id = ? ORDER BY a.n", lead_id), reason)

    def plan(self, sequence_id: str, reason: StartReason) -> None:
        """Start everybody in a running sequence who has not started in it yet."""
        self._start_new(self._candidates("AND c.id = ? ORDER BY p.n", sequence_id), reason)

    def plan_again(self, sequence_id: str) -> None:
        """Start everybody in a running sequence again."""
        for candidate in self._candidates("AND c.id = ? ORDER BY p.n", sequence_id):
            self._start(candidate, "re-planned")

    def starts(self) -> list[Start]:
        """Return all mails that would have started, oldest first."""
        return [
            Start(*row) for row in self._run("SELECT sequence_id, lead_id, email, reason, at FROM start ORDER BY n")
        ]

    def has_run(self, sequence_id: str) -> bool:
        """Return whether a sequence has ever planned tasks."""
        return bool(self._run("SELECT 1 FROM planned WHERE sequence_id = ? LIMIT 1", sequence_id))

    def size(self, sequence_id: str) -> int:
        """Return the number of leads that a sequence has planned tasks for."""
        ((size,),) = self._run("SELECT count(*) FROM planned WHERE sequence_id = ? AND NOT removed", sequence_id)
        return int(size)

    def sequences_of(self, lead_id: str) -> list[str]:
        """Return the sequences that have planned tasks for a lead."""
        rows = self._run("SELECT sequence_id FROM planned WHERE lead_id = ? AND NOT removed ORDER BY n", lead_id)
        return [sequence_id for (sequence_id,) in rows]

    def remove(self, sequence_id: str, lead_id: str, email: str) -> None:
        """Take a lead out of one sequence, so that it does not start there."""
        self._run(
            "INSERT INTO planned (sequence_id, lead_id, email, started, removed) VALUES (?, ?, ?, 0, 1)"
            " ON CONFLICT DO UPDATE SET removed = 1",
            *(sequence_id, lead_id, email),
        )

    def _candidates(self, condition: str, value: str) -> list[_Candidate]:
        return [_candidate(row) for row in self._run(f"{CANDIDATES} {condition}", value)]

    def _start_new(self, candidates: list[_Candidate], reason: StartReason) -> None:
        for candidate in candidates:
            if not candidate.started:
                self._start(candidate, reason)

    def _start(self, candidate: _Candidate, reason: StartReason) -> None:
        blocked = candidate.unsubscribed or self._blocklist.blocks(candidate.email)
        starts = bool(candidate.email) and not blocked
        where = (candidate.sequence_id, candidate.lead_id, candidate.email)
        self._run(
            "INSERT INTO planned (sequence_id, lead_id, email, started) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET started = started + excluded.started",
            *(*where, starts),
        )
        if starts:
            self._run(
                "INSERT INTO start (sequence_id, lead_id, email, reason, at) VALUES (?, ?, ?, ?, ?)",
                *(*where, reason, time.time()),
            )
            sequence_id, lead_id, email = where
            self._events.record(message=SENT, lead_id=lead_id, email=email, sequence_id=sequence_id)


def _candidate(row: tuple[Any, ...]) -> _Candidate:
    sequence_id, lead_id, fields, unsubscribed, started = row
    return _Candidate(sequence_id, lead_id, find_email(json.loads(fields)), bool(unsubscribed), started)
