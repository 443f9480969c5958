"""The classic API: one function per documented call."""

from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response

from airflow_provider_salesblink.sandbox.errors import ApiError, json_bytes
from airflow_provider_salesblink.sandbox.openapi import CAMPAIGN, MEMBER, PROSPECT, responses
from airflow_provider_salesblink.sandbox.options import SandboxUsageError
from airflow_provider_salesblink.sandbox.records import CampaignState, Person
from airflow_provider_salesblink.sandbox.request_checks import CheckedRoute, state_of
from airflow_provider_salesblink.sandbox.schemas import (
    CampaignStatusChange,
    NewProspect,
    ProspectFieldChange,
    ProspectReference,
)
from airflow_provider_salesblink.sandbox.seeds import TEAM
from airflow_provider_salesblink.sandbox.shapes import Json

router = APIRouter(prefix="/api", route_class=CheckedRoute)

CampaignId = Annotated[str, Path(alias="campaignID", description="The id of the campaign.")]
ProspectId = Annotated[str, Path(alias="prospectID", description="The id of the prospect.")]

Record = TypeVar("Record", CampaignState, Person)


@router.get(
    "/campaigns", tags=["Campaigns"], summary="All campaigns", responses=responses([CAMPAIGN], "All campaigns.")
)
async def list_campaigns(request: Request) -> Response:
    """Return all campaigns that the key can access."""
    state = state_of(request)
    return _response(state.shapes.wrap_list("campaigns", map(state.shapes.campaign, state.store.campaigns())))


@router.get(
    "/campaign",
    tags=["Campaigns"],
    summary="Search campaigns",
    responses=responses([CAMPAIGN], "Campaigns whose name contains the term.", 400),
)
async def search_campaigns(
    request: Request, term: Annotated[str, Query(description="Name of a campaign, or part of it.")]
) -> Response:
    """Return the campaigns whose name contains the term, ignoring case."""
    state = state_of(request)
    found = state.store.campaigns(containing=term)
    return _response(state.shapes.wrap_list("campaigns", map(state.shapes.campaign, found)))


@router.get(
    "/campaign/{campaignID:path}",
    tags=["Campaigns"],
    summary="One campaign",
    responses=responses(CAMPAIGN, "The campaign.", 404),
)
async def get_campaign(request: Request, campaign_id: CampaignId) -> Response:
    """Return one campaign."""
    state = state_of(request)
    campaign = _require("campaign", state.store.campaign(campaign_id))
    return _response(state.shapes.wrap_record("campaign", state.shapes.campaign(campaign)))


@router.post(
    "/campaign-status",
    tags=["Campaigns"],
    summary="Pause or unpause a campaign",
    responses=responses(CAMPAIGN, "Done.", 400, 404),
)
async def set_campaign_status(request: Request, change: CampaignStatusChange) -> Response:
    """Pause a campaign's upcoming tasks, or resume them."""
    state = state_of(request)
    campaign = _require("campaign", state.store.set_paused(change.campaign_id, paused=change.pause))
    return _response(state.shapes.acknowledge("campaign", state.shapes.campaign(campaign)))


@router.get(
    "/prospect",
    tags=["Prospects"],
    summary="Search a prospect by address",
    responses=responses([PROSPECT], "All prospects with that address, in all campaigns. The list may be empty.", 400),
)
async def search_prospect(
    request: Request, term: Annotated[str, Query(description="E-mail address of the prospect.")]
) -> Response:
    """Return all prospects with an address, ignoring case and surrounding spaces."""
    state = state_of(request)
    found = state.store.find_people(term)
    if state.shapes.search == "exact":
        found = [person for person in found if person.email == term]
    return _response(state.shapes.wrap_list("prospects", map(state.shapes.prospect, found)))


@router.get(
    "/prospects/{campaignID:path}",
    tags=["Prospects"],
    summary="Prospects of a campaign",
    responses=responses([PROSPECT], "All prospects of the campaign, in the order they were added.", 404),
)
async def list_prospects(request: Request, campaign_id: CampaignId) -> Response:
    """Return all prospects of a campaign, without pagination."""
    state = state_of(request)
    campaign = _require("campaign", state.store.campaign(campaign_id))
    return _response(state.shapes.wrap_list("prospects", map(state.shapes.prospect, state.store.people(campaign.id))))


@router.get(
    "/prospect/{prospectID:path}",
    tags=["Prospects"],
    summary="One prospect",
    responses=responses(PROSPECT, "The prospect.", 404),
)
async def get_prospect(request: Request, prospect_id: ProspectId) -> Response:
    """Return one prospect."""
    state = state_of(request)
    person = _require("prospect", state.store.person(prospect_id))
    return _response(state.shapes.wrap_record("prospect", state.shapes.prospect(person)))


@router.post(
    "/prospect-add",
    tags=["Prospects"],
    summary="Add a prospect to a campaign",
    responses=responses(PROSPECT, "Added.", 400, 404),
)
async def add_prospect(request: Request, new: NewProspect) -> Response:
    """Add one person to a campaign. A second call with the same address adds the person a second time."""
    campaign = _require("campaign", state_of(request).store.campaign(new.campaign_id))
    try:
        return _prospect_response(request, state_of(request).store.add_person(campaign.id, new.data))
    except SandboxUsageError:
        raise ApiError(400, "The campaign has no list.") from None


@router.post(
    "/prospect",
    tags=["Prospects"],
    summary="Update a prospect",
    responses=responses(PROSPECT, "Changed.", 400, 404),
)
async def update_prospect(request: Request, change: ProspectFieldChange) -> Response:
    """Set one column of a prospect."""
    return _prospect_response(request, state_of(request).store.set_column(change.prospect_id, change.key, change.value))


@router.post(
    "/prospect-unsubscribe",
    tags=["Prospects"],
    summary="Unsubscribe a prospect",
    responses=responses({**PROSPECT, "unsubscribed": True}, "Unsubscribed.", 400, 404),
)
async def unsubscribe_prospect(request: Request, prospect: ProspectReference) -> Response:
    """Delete a prospect's upcoming tasks. This cannot be undone."""
    return _prospect_response(request, state_of(request).store.unsubscribe(prospect.prospect_id))


@router.get(
    "/my-team", tags=["Team"], summary="Members of the team", responses=responses([MEMBER], "All members.", 403)
)
async def list_members(request: Request) -> Response:
    """Return the members of the key's team. Only administrators may call this."""
    state = state_of(request)
    return _response(state.shapes.wrap_list("members", state.store.members() or TEAM))


def _prospect_response(request: Request, person: Person | None) -> Response:
    shapes = state_of(request).shapes
    return _response(shapes.acknowledge("prospect", shapes.prospect(_require("prospect", person))))


def _require(what: str, record: Record | None) -> Record:
    if record is None:
        raise ApiError(404, f"There is no such {what}.")
    return record


def _response(content: Json) -> Response:
    return Response(json_bytes(content), media_type="application/json")
