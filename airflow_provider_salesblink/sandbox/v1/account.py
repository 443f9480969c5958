"""The key's account: ``/account/verify``."""

from fastapi import APIRouter, Request, Response

from airflow_provider_salesblink.sandbox.request_checks import CheckedRoute
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.answers import success
from airflow_provider_salesblink.sandbox.v1.team import user_of, workspace

router = APIRouter(prefix=f"{PREFIX}/account", route_class=CheckedRoute, tags=["Account"])


@router.get("/verify", operation_id="verifyAccount", summary="Check the key")
async def verify_account(request: Request) -> Response:
    """Return whose key it is. The names are those that clients read; SalesBlink documents none."""
    user = user_of(request)
    name, email = user.get("user_name", ""), user.get("email", "")
    account = {"name": workspace(request)["name"], "plan": "sandbox"}
    data = {"account": account, "user": {"email": email}, "email": email, "name": name, "org": account["name"]}
    return success(data, message="The API key is valid.")
