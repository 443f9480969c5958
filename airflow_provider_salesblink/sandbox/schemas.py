"""Bodies of the classic API's writes: every field required, no other allowed, nothing converted."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class CampaignStatusChange(_Body):
    """Pauses or resumes a campaign."""

    campaign_id: str = Field(alias="campaignID", description="The id of the campaign.", examples=["spring-2027"])
    pause: bool = Field(description="True pauses, false resumes.")


class NewProspect(_Body):
    """A person to add to a campaign."""

    campaign_id: str = Field(alias="campaignID", description="The id of the campaign.", examples=["spring-2027"])
    data: dict[str, Any] = Field(
        description="Columns, usable as macros in mails. Documented are First Name, Last Name, Email and Company; any "
        "other may stand beside them.",
        examples=[{"First Name": "Ana", "Last Name": "Silva", "Email": "ana@example.com", "Company": "Northwind"}],
    )


class ProspectFieldChange(_Body):
    """One column of a prospect."""

    prospect_id: str = Field(alias="prospectID", description="The id of the prospect.")
    key: str = Field(description="Column to set. `email` means the address, however its column is spelt.")
    value: str


class ProspectReference(_Body):
    """A prospect."""

    prospect_id: str = Field(alias="prospectID", description="The id of the prospect.")


class Failure(BaseModel):
    """What every refusal looks like."""

    success: bool = Field(examples=[False])
    error: bool = Field(examples=[True])
    message: str = Field(examples=["Unauthorized: your API key is wrong."])
