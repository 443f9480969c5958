"""Who may talk to the sandbox: this machine, and no web page of another origin.

A browser on this machine may be led here by a foreign page (DNS rebinding, a form that posts here). The Host header
tells the first, the Origin header the second.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Say whether a Host header names this machine."""
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
    """Say whether an Origin header names another origin than the one served; no header means no browser."""
    return bool(origin) and origin.casefold() != f"http://{host}".casefold()
