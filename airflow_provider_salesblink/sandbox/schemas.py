"""Request bodies of the classic API. All fields are required, others are rejected, and no value is converted."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class CampaignStatusChange(_Body):
    """Pause or resume a campaign."""

    campaign_id: str = Field(alias="campaignID", description="The id of the campaign.", examples=["spring-2027"])
    pause: bool = Field(description="True pauses, false resumes.")


class NewProspect(_Body):
    """A person to add to a campaign."""

    campaign_id: str = Field(alias="campaignID", description="The id of the campaign.", examples=["spring-2027"])
    data: dict[str, Any] = Field(
        description="Columns, usable as macros in emails. First Name, Last Name, Email and Company are documented; "
        "other columns are allowed.",
        examples=[{"First Name": "Ana", "Last Name": "Silva", "Email": "ana@example.com", "Company": "Northwind"}],
    )


class ProspectFieldChange(_Body):
    """A new value for one column of a prospect."""

    prospect_id: str = Field(alias="prospectID", description="The id of the prospect.")
    key: str = Field(description="Column to set. `email` means the email column, however it is spelled.")
    value: str


class ProspectReference(_Body):
    """A prospect."""

    prospect_id: str = Field(alias="prospectID", description="The id of the prospect.")


class Failure(BaseModel):
    """The body of an error response."""

    success: bool = Field(examples=[False])
    error: bool = Field(examples=[True])
    message: str = Field(examples=["Unauthorized: your API key is wrong."])
