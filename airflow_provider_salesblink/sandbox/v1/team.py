"""People and workspaces: ``/users`` and ``/workspaces``."""

import uuid
from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_salesblink.sandbox.errors import ApiError
from airflow_provider_salesblink.sandbox.request_checks import CheckedRoute, state_of
from airflow_provider_salesblink.sandbox.seeds import TEAM
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import success

router = APIRouter(prefix=PREFIX, route_class=CheckedRoute, tags=["Users"])


@router.get("/users", operation_id="listUsers", summary="Members of the workspace")
async def list_users(request: Request) -> Response:
    """Return all members for an administrator's key, and an empty array for a member's key."""
    if not is_administrator(request):
        return success([])
    me, place = user_of(request), workspace(request)
    return success([_user(member, place, is_me=member == me) for member in _members(request)])


@router.get("/workspaces", operation_id="listWorkspaces", summary="Workspaces of an owner")
async def list_workspaces(request: Request) -> Response:
    """Return the workspaces of an owner. A member's key gets 403."""
    if not is_administrator(request):
        raise ApiError(403)
    return success([workspace(request)])


def is_administrator(request: Request) -> bool:
    """Return whether the request has the administrator's key."""
    return state_of(request).is_administrator(request.headers["authorization"])


def user_of(request: Request) -> dict[str, Any]:
    """Return the member that the key belongs to: the first one, or the last one for a member's key."""
    return _members(request)[0 if is_administrator(request) else -1]


def workspace(request: Request) -> dict[str, Any]:
    """Return the workspace of the key."""
    owner = _members(request)[0]
    return {
        "id": _id(f"workspace of {owner.get('email')}"),
        "name": owner.get("company_name", ""),
        "permission": "owner",
    }


def _members(request: Request) -> list[dict[str, Any]]:
    return state_of(request).store.members() or TEAM


def _user(member: dict[str, Any], place: dict[str, Any], *, is_me: bool) -> dict[str, Any]:
    name, email = str(member.get("user_name", "")), str(member.get("email", ""))
    role = {"id": place["id"], "permission": "owner" if is_me else "user"}
    return {"id": _id(email), "name": name + " (Me)" * is_me, "email": email, "account": [role], "owned_by": email}


def _id(text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))
