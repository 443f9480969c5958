"""Accept only requests from this machine, and none from web pages of other origins.

A page of another origin can make a browser on this machine send requests here. The Host header reveals DNS rebinding,
and the Origin header reveals cross-origin forms and scripts.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Return whether a Host header names this machine."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    if name.casefold() == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def is_foreign(origin: str, host: str) -> bool:
    """Return whether an Origin header names another origin. Clients other than browsers send no such header."""
    return bool(origin) and origin.casefold() != f"http://{host}".casefold()
