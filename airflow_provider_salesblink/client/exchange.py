"""One exchange over HTTP: a call goes out, and what came of it is an outcome. The only module that talks HTTP."""

from __future__ import annotations

import http.cookiejar
import json
import logging
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from airflow_provider_salesblink.client import envelope, failures, quiet
from airflow_provider_salesblink.client.addresses import redacted
from airflow_provider_salesblink.client.errors import SalesBlinkError
from airflow_provider_salesblink.client.retry import (
    Answered,
    LostAnswer,
    NeverSent,
    Outcome,
    RefusedInBody,
    Unreadable,
    parse_http_date,
    parse_retry_after,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_salesblink.client.pacing import Kind

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
"""Seconds. A machine that has not taken a connection by then is not there; the ``timeout`` is for answers."""

USER_AGENT = "airflow-provider-salesblink"
CONNECTIONS = 16
CHUNK = 65_536
LONGEST_IN_MEMORY = 4_194_304
"""Bytes. Longer answers to questions for long ones are kept in a file."""
LONGEST_MESSAGE = 200

Content = bytes | SpooledTemporaryFile[bytes]


@dataclass(frozen=True, repr=False)
class Call:
    """One call as the documentation writes it.

    :param path: the path below the root, each part quoted.
    :param repeatable: whether a second one changes nothing.
    :param long: whether the answer may be too long for the memory.
    """

    method: str
    path: str
    kind: Kind
    query: str = ""
    body: bytes | None = None
    repeatable: bool = True
    long: bool = False

    def __str__(self) -> str:
        return redacted(f"{self.method} {self.path}")

    def __repr__(self) -> str:
        return f"<{self}>"

    @contextmanager
    def named_in_errors(self, status: int | None = None) -> Iterator[None]:
        """Within it, errors are told which call they are about."""
        try:
            yield
        except SalesBlinkError as error:
            error.status, error.method, error.path = status, self.method, redacted(self.path)
            raise


class Exchange:
    """Sends single requests to one server with one key, over connections that are kept. Threads may share it.

    :param origin: scheme, host and port of the server.
    :param key: goes into the ``Authorization`` header as it is.
    :param timeout: seconds to wait for an answer.
    :param verify_tls: whether the server must prove who it is.
    """

    def __init__(self, origin: str, key: str, *, timeout: float, verify_tls: bool) -> None:
        self._origin = origin
        self._key = key
        self._timeout = (min(CONNECT_TIMEOUT, timeout), timeout)
        self._new_session = partial(_session, origin, verify_tls=verify_tls)
        self._sessions = {os.getpid(): self._new_session()}

    def close(self) -> None:
        """Close the kept connections. A later call opens new ones."""
        self._session().close()

    def _session(self) -> requests.Session:
        # By process: on a connection shared with a forked child, each would get answers meant for the other.
        if os.getpid() not in self._sessions:
            self._sessions[os.getpid()] = self._new_session()
        return self._sessions[os.getpid()]

    def send(self, call: Call) -> Outcome:
        """Send ``call`` once, and tell what came of it."""
        url = f"{self._origin}{call.path}" + (f"?{call.query}" if call.query else "")
        headers = {"Content-Type": "application/json"} if call.body is not None else None
        started = time.monotonic()
        try:
            with quiet.urllib3():
                response = self._session().request(
                    call.method,
                    url,
                    data=call.body,
                    headers=headers,
                    auth=self._sign,
                    timeout=self._timeout,
                    # Where the answer sends us is not where the key was given for.
                    allow_redirects=False,
                    stream=call.long,
                )
                content = _content(response) if call.long else response.content
        except (requests.RequestException, HTTPError) as error:
            # Handed on as an outcome: the exception's own text, and so any traceback with it, holds the whole URL.
            outcome = _without_answer(error)
        else:
            outcome = _outcome(response, content, self._key)
        log.debug("%s: %s after %.0f ms.", call, failures.in_words(outcome), (time.monotonic() - started) * 1000)
        return outcome

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # As `auth`, because requests would otherwise let a matching line of ~/.netrc replace the header.
        request.headers["Authorization"] = self._key
        return request


def _session(root: str, *, verify_tls: bool) -> requests.Session:
    session = requests.Session()
    # Looked up once: requests would do so for each call, and would let ~/.netrc replace the key.
    session.trust_env = False
    if root.startswith("https://"):
        # Plain http goes to this machine only; a proxy elsewhere would be sent the key unencrypted.
        session.proxies.update(requests.utils.get_environ_proxies(root))
    session.verify = verify_tls and (os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True)
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"Accept": "application/json", "User-Agent": USER_AGENT})
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=CONNECTIONS, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.hooks["response"].append(_disarmed)
    return session


def _disarmed(response: requests.Response, **_: object) -> None:
    # requests reads it even where redirects are not followed, and stumbles over what is no URL.
    response.headers.pop("Location", None)
    if response.status_code < HTTPStatus.OK:
        # The true answer is still to come on this connection, and would be taken for the next call's.
        response.close()


def _without_answer(error: requests.RequestException | HTTPError) -> Outcome:
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    match error, reason:
        case requests.exceptions.SSLError(), _ if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return NeverSent("the server's certificate is not one to trust", hopeless=True)
        case requests.exceptions.ConnectTimeout(), _:
            return NeverSent("the server did not take the connection in time")
        case ((requests.exceptions.InvalidURL() | LocationValueError()), _):
            return NeverSent("the root URL names no server", hopeless=True)
        case requests.exceptions.ProxyError(), _ if _is_proxy_refusal(reason):
            return NeverSent("the proxy did not take the connection")
        case _, NameResolutionError():
            return NeverSent("the server's name is not known here")
        case _, NewConnectionError():
            return NeverSent("the server does not take connections")
        case (requests.exceptions.ReadTimeout(), _) | (_, ReadTimeoutError()):
            return LostAnswer("no answer in time", late=True)
        case _:
            return LostAnswer("the connection broke before the answer was complete")


def _is_proxy_refusal(reason: object) -> bool:
    # urllib3 blames the proxy also for a connection through it that broke after the request was sent.
    cause = getattr(reason, "original_error", None)
    return isinstance(cause, NewConnectionError | ConnectTimeoutError) or "Tunnel connection failed" in str(cause)


def _content(response: requests.Response) -> Content:
    """The whole answer: in memory, or from :data:`LONGEST_IN_MEMORY` on in a file that is deleted when it is closed."""
    # Not in a `with`: whoever reads the answer closes it.
    file = SpooledTemporaryFile(LONGEST_IN_MEMORY)  # noqa: SIM115
    for chunk in response.iter_content(CHUNK):
        file.write(chunk)
    is_short = file.tell() <= LONGEST_IN_MEMORY
    file.seek(0)
    return file.read() if is_short else file


def _outcome(response: requests.Response, content: Content, key: str) -> Outcome:
    status = response.status_code
    if status == HTTPStatus.NO_CONTENT:
        return Answered(status, body={})
    if not isinstance(content, bytes) and status < HTTPStatus.MULTIPLE_CHOICES:
        return Answered(status, body=content)
    body = _decoded(content) if isinstance(content, bytes) else None
    if status >= HTTPStatus.BAD_REQUEST:
        return Answered(status, _retry_after(response), _told(body, key))
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        return Unreadable(status, "it sends the call elsewhere, which is not followed")
    if not isinstance(body, dict | list):
        return Unreadable(status, _kind_of(response, content))
    if envelope.is_refusal(body):
        return RefusedInBody(_told(body, key))
    return Answered(status, body=body)


def _told(body: object, key: str) -> str:
    # Cut last: half a key or half an address would not be found.
    return redacted(envelope.message(body), key, quote(key, safe=""))[:LONGEST_MESSAGE]


def _decoded(content: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _kind_of(response: requests.Response, content: Content) -> str:
    if not content:
        return "it is empty"
    start = content.lstrip()[:1] if isinstance(content, bytes) else b""
    is_page = "html" in response.headers.get("Content-Type", "") or start == b"<"
    return "it is an HTML page" if is_page else "it is no complete JSON object or list"


def _retry_after(response: requests.Response) -> float | None:
    # Against the server's own clock, where it tells: ours may be wrong.
    now = parse_http_date(response.headers.get("Date")) or datetime.now(UTC)
    return parse_retry_after(response.headers.get("Retry-After"), now=now)
