"""A client for SalesBlink, usable without Airflow."""

from airflow_provider_salesblink.client.client import DEFAULT_BASE_URL, SalesBlinkClient
from airflow_provider_salesblink.client.errors import (
    AmbiguousWriteError,
    ApiRefusedError,
    AuthenticationError,
    BudgetSpentError,
    ConnectionFailedError,
    InvalidInputError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    SalesBlinkError,
    ServerError,
    UnreadableResponseError,
    UnsupportedByApiError,
)
from airflow_provider_salesblink.client.records import Campaign, Prospect, TeamMember

__all__ = [
    "DEFAULT_BASE_URL",
    "AmbiguousWriteError",
    "ApiRefusedError",
    "AuthenticationError",
    "BudgetSpentError",
    "Campaign",
    "ConnectionFailedError",
    "InvalidInputError",
    "InvalidRequestError",
    "NotFoundError",
    "PermissionDeniedError",
    "Prospect",
    "RateLimitedError",
    "SalesBlinkClient",
    "SalesBlinkError",
    "ServerError",
    "TeamMember",
    "UnreadableResponseError",
    "UnsupportedByApiError",
]
