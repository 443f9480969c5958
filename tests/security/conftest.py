"""Fixtures for the tests of SECURITY.md's promises, from the client's own tests."""

from __future__ import annotations

from tests.client.conftest import api_version, new_client, scene, serve
from tests.client.test_privacy import said
from tests.client.test_requestor import tls

__all__ = ["api_version", "new_client", "said", "scene", "serve", "tls"]
