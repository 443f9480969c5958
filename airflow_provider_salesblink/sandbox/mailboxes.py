"""The mailboxes that the sandbox's sequences send from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mailbox:
    """A mailbox that sends the mails of sequences.

    :param daily: number of mails a day at most.
    """

    id: str
    email: str
    name: str
    enabled: bool = True
    daily: int = 50


MAILBOXES = (
    Mailbox("5d0b1c1e-2a7e-4f51-9b0a-6f3f0f6f1a01", "olu@mail.example.com", "Olu Owner"),
    Mailbox("5d0b1c1e-2a7e-4f51-9b0a-6f3f0f6f1a02", "mia@mail.example.com", "Mia Member"),
)
