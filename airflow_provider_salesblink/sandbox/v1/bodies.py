"""Request bodies of the v1 API. No value is converted."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _OpenBody(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    def given(self) -> dict[str, Any]:
        """Return the fields of the request, under the API's names."""
        return self.model_dump(exclude_unset=True)


class ListChange(_OpenBody):
    """A change of a list."""

    name: str | None = Field(default=None, min_length=1)
    folder: str | None = None
    starred: bool | None = None
    duplicate_removal: bool | None = None
    duplicate_removal_other_list: bool | None = None
    duplicate_removal_team_list: bool | None = None
    verification: bool | None = None
    archive_invalid: bool | None = None
    archive_risky: bool | None = None


class NewList(ListChange):
    """A list to create."""

    name: str = Field(min_length=1)


class Archive(_Body):
    """Whether to archive or to restore."""

    archived: bool = True


class NewContacts(_Body):
    """Contacts to add to a list."""

    list_id: str
    contacts: list[dict[str, Any]] = Field(min_length=1, max_length=500)
    remove_duplicates: bool = False


class ContactAddress(_Body):
    """An address on a list."""

    list_id: str
    email: str


class LeadMove(_Body):
    """The list that a lead moves to."""

    list_id: str


class SequenceChange(_OpenBody):
    """A change of a sequence."""

    name: str | None = None
    senders: str | None = None
    lists: list[str] | None = Field(default=None, min_length=1)
    steps: list[dict[str, Any]] | None = None
    paused: bool | None = None
    launchTimingMode: Literal["now", "schedule"] | None = None  # noqa: N815  # the API's names
    scheduledAt: int | None = None  # noqa: N815
    timezone: str | None = None
    folder: str | None = None
    starred: bool | None = None
    evergreen: bool | None = None
    emailSendingHours: list[dict[str, Any]] | None = Field(default=None, min_length=7, max_length=7)  # noqa: N815


class NewSequence(SequenceChange):
    """A sequence to create. It is paused unless the request says otherwise."""

    name: str
    senders: str
    lists: list[str] = Field(min_length=1)
    steps: list[dict[str, Any]]


class StatusChange(_Body):
    """A new status of a sequence."""

    status: Literal["ACTIVE", "PAUSED", "STOPPED", "ARCHIVED"]
