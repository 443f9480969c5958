"""People and workspaces: ``/users`` and ``/workspaces``."""

import uuid
from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_salesblink.sandbox.request_checks import V1Route, state_of
from airflow_provider_salesblink.sandbox.seeds import TEAM
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import done
from airflow_provider_salesblink.sandbox.v1.errors import V1Error

router = APIRouter(prefix=PREFIX, route_class=V1Route, include_in_schema=False)


@router.get("/users")
async def list_users(request: Request) -> Response:
    """Return all members for an administrator's key, and an empty array for a member's key."""
    if not is_administrator(request):
        return done([])
    me, place = user_of(request), workspace(request)
    return done([_user(member, place, is_me=member == me) for member in _members(request)])


@router.get("/workspaces")
async def list_workspaces(request: Request) -> Response:
    """Return the workspaces of an owner. A member's key gets 403."""
    if not is_administrator(request):
        raise V1Error(403)
    return done([workspace(request)])


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
