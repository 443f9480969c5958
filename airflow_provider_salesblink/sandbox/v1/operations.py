"""The operations of the v1 API by the names of its OpenAPI description, which faults use as ``v1.<name>``."""

from __future__ import annotations

import re

from airflow_provider_salesblink.sandbox.v1 import PREFIX

# In this order: a fixed path such as /leads/activity comes before /leads/{id}.
OPERATIONS = {
    "verifyAccount": "GET /account/verify",
    "listLists": "GET /lists",
    "createList": "POST /lists",
    "addContacts": "POST /contacts",
    "removeContact": "POST /contacts/remove",
    "getLeadActivityByEmail": "GET /leads/activity",
    "listSequences": "GET /sequences",
    "createSequence": "POST /sequences",
    "listBlocklist": "GET /unsubscribe",
    "addToBlocklist": "POST /unsubscribe",
    "clearBlocklist": "DELETE /unsubscribe",
    "removeFromBlocklist": "POST /unsubscribe/remove",
    "checkBlocklist": "GET /unsubscribe/check",
    "listSent": "GET /sent",
    "listOpens": "GET /opens",
    "listClicks": "GET /clicks",
    "listReplies": "GET /replies",
    "listReports": "GET /reports",
    "analyticsOverall": "GET /analytics/overall",
    "analyticsDaily": "GET /analytics/daily",
    "analyticsLeads": "GET /analytics/lead-stats",
    "analyticsMailboxes": "GET /analytics/mailbox-stats",
    "listInbox": "GET /inbox",
    "listSenders": "GET /senders",
    "listUsers": "GET /users",
    "listWorkspaces": "GET /workspaces",
    "getList": "GET /lists/{id}",
    "updateList": "PATCH /lists/{id}",
    "archiveList": "PUT /lists/{id}/archive",
    "listListLeads": "GET /lists/{id}/leads",
    "archiveContact": "PUT /contacts/{id}/archive",
    "updateLead": "PATCH /leads/{id}",
    "moveLead": "PUT /leads/{id}/move",
    "unsubscribeLead": "POST /leads/{id}/unsubscribe",
    "getLeadActivity": "GET /leads/{id}/activity",
    "getSequence": "GET /sequences/{id}",
    "updateSequence": "PATCH /sequences/{id}",
    "setSequenceStatus": "POST /sequences/{id}/status",
    "archiveSequence": "PUT /sequences/{id}/archive",
    "cloneSequence": "POST /sequences/{id}/clone",
    "getSequenceStats": "GET /sequences/{id}/stats",
    "listSequenceLeads": "GET /sequences/{id}/leads",
    "listLeadMessages": "GET /sequences/{id}/leads/{leadId}/messages",
    "removeLeadFromSequence": "POST /sequences/{id}/leads/{leadId}/unsubscribe",
    "exportSequenceLeads": "GET /sequences/{id}/export",
    "deleteBlocklistEntry": "DELETE /unsubscribe/{id}",
    "getSenderHealth": "GET /senders/{id}/health",
}
NAMES = tuple(f"v1.{name}" for name in OPERATIONS)


def operation_of(method: str, raw_path: str) -> str:
    """Return the name of the operation that a request calls; empty if there is none.

    :param raw_path: the path as sent, so that a percent-encoded slash is part of an id.
    """
    wanted = f"{method} {raw_path.removeprefix(PREFIX)}"
    return next((f"v1.{name}" for name, pattern in _PATTERNS.items() if pattern.fullmatch(wanted)), "")


_PATTERNS = {
    name: re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(operation))) for name, operation in OPERATIONS.items()
}
