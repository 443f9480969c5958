"""The key's account: ``/account/verify``."""

from fastapi import APIRouter, Request, Response

from airflow_provider_salesblink.sandbox.request_checks import V1Route
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import done
from airflow_provider_salesblink.sandbox.v1.team import user_of, workspace

router = APIRouter(prefix=f"{PREFIX}/account", route_class=V1Route, include_in_schema=False)


@router.get("/verify")
async def verify_account(request: Request) -> Response:
    """Return whose key it is. The names are those that clients read; SalesBlink documents none."""
    user, account = user_of(request), {"name": workspace(request)["name"], "plan": "sandbox"}
    name, email = user.get("user_name", ""), user.get("email", "")
    data = {"account": account, "user": {"email": email}, "email": email, "name": name, "org": account["name"]}
    return done(data, message="The API key is valid.")
