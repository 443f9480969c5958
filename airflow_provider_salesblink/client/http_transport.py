"""One exchange over HTTP: a call goes out, and what came of it is an outcome. The only module that talks HTTP."""

from __future__ import annotations

import http.cookiejar
import logging
import os
import re
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

from airflow_provider_salesblink.client import envelope, error_messages, json_stream, redaction, response_limits
from airflow_provider_salesblink.client.errors import InvalidInputError, SalesBlinkError
from airflow_provider_salesblink.client.redaction import redacted
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

    from airflow_provider_salesblink.client.rate_limit import RequestKind

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
"""Seconds. A machine that has not taken a connection by then is not there; the ``timeout`` is for answers."""

USER_AGENT = "airflow-provider-salesblink"
CONNECTIONS = 16
CHUNK = 65_536
LONGEST_IN_MEMORY = 4_194_304
"""Bytes. Longer answers to questions for long ones are kept in a file."""
LONGEST_MESSAGE = 200

LONGEST_ACKNOWLEDGEMENT = 16 * 1024**2
"""Bytes that an answer to a write may have, unpacked. A person has at most some thousand."""
LONGEST_READ = 128 * 1024**2
"""As much for what is read into memory: some 250,000 people, or a team with its pictures."""
LONGEST_LIST = 8 * 1024**3
"""As much for what is kept in a file: some 16 million people. No temporary folder is filled by a list without end."""

_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
"""What OpenSSL calls an answer in plain text: the first before 3.2, the second since."""

_COMPRESSIONS = ("", "identity", "gzip", "x-gzip", "deflate")

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
    kind: RequestKind
    query: str = ""
    body: bytes | None = None
    repeatable: bool = True
    long: bool = False

    @property
    def most(self) -> int:
        """How many bytes its answer may have."""
        if self.kind != "reads":
            return LONGEST_ACKNOWLEDGEMENT
        return LONGEST_LIST if self.long else LONGEST_READ

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


class HttpTransport:
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
        if not verify_tls and origin.startswith("https://"):
            log.warning("verify_tls is off: whoever is between this machine and %s can read the key.", origin)

    def close(self) -> None:
        """Close the kept connections. A later call opens new ones."""
        self._session().close()

    def _session(self) -> requests.Session:
        # By process: on a connection shared with a forked child, each would get answers meant for the other.
        if os.getpid() not in self._sessions:
            self._sessions[os.getpid()] = self._new_session()
        return self._sessions[os.getpid()]

    def send(self, call: Call) -> Outcome:
        """Send ``call`` once, and tell what came of it.

        :raises InvalidInputError: the key is an argument of it, by mistake: URLs are logged, here and on the way.
        """
        if quote(self._key, safe="") in re.split("[/=]", f"{call.path}={call.query}"):
            raise InvalidInputError("An id or a text to search for is the API key; nothing was sent.")
        url = f"{self._origin}{call.path}" + (f"?{call.query}" if call.query else "")
        headers = {"Content-Type": "application/json"} if call.body is not None else None
        started = time.monotonic()
        try:
            # Twice as much on the wire: chunks have frames.
            with redaction.quiet_urllib3(), response_limits.of_at_most(2 * call.most):
                response = self._session().request(
                    call.method,
                    url,
                    data=call.body,
                    headers=headers,
                    auth=self._sign,
                    timeout=self._timeout,
                    # Where the answer sends us is not where the key was given for.
                    allow_redirects=False,
                    stream=True,
                )
                content = _content(response, call)
        except (requests.RequestException, HTTPError, OSError) as error:
            # Handed on as an outcome: the exception's own text, and so any traceback with it, holds the whole URL.
            outcome = _without_answer(error)
        else:
            outcome = _outcome(response, content, self._key)
        log.debug("%s: %s after %.0f ms.", call, error_messages.in_words(outcome), (time.monotonic() - started) * 1000)
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
    session.headers.update({"Accept": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": USER_AGENT})
    adapter = _Adapter(pool_connections=1, pool_maxsize=CONNECTIONS, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.hooks["response"].append(_disarmed)
    return session


class _Adapter(HTTPAdapter):
    """Connects as ``requests`` does, to servers and through proxies, and has their answers bounded."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        response_limits.bound(self.poolmanager)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:  # noqa: ANN401
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if is_new:
            response_limits.bound(manager)
        return manager


def _disarmed(response: requests.Response, **_: object) -> None:
    # requests reads it even where redirects are not followed, and stumbles over what is no URL.
    response.headers.pop("Location", None)
    if response.status_code < HTTPStatus.OK:
        # The true answer is still to come on this connection, and would be taken for the next call's.
        response.close()


def _without_answer(error: requests.RequestException | HTTPError | OSError) -> Outcome:
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    match error, reason:
        case requests.exceptions.SSLError(), _ if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return NeverSent("the server's certificate is not one to trust", hopeless=True)
        case requests.exceptions.SSLError(), _ if any(sign in str(error) for sign in _NO_TLS):
            # Not as "never sent": only the words are taken from what TLS says, not whether a write may be repeated.
            return LostAnswer("the server does not speak TLS; one on this machine may need http:// as its root URL")
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
        case OSError(errno=int(number)), _ if not isinstance(error, requests.RequestException):
            return LostAnswer(f"the answer could not be kept on this machine ({os.strerror(number)})")
        case _:
            return LostAnswer("the connection broke before the answer was complete")


def _is_proxy_refusal(reason: object) -> bool:
    # urllib3 blames the proxy also for a connection through it that broke after the request was sent.
    cause = getattr(reason, "original_error", None)
    return isinstance(cause, NewConnectionError | ConnectTimeoutError) or "Tunnel connection failed" in str(cause)


class _UnreadError(Exception):
    """An answer whose content is not wanted; the message says why."""


def _content(response: requests.Response, call: Call) -> Content | _UnreadError:
    """The whole answer: in memory, or from :data:`LONGEST_IN_MEMORY` on in a file that is deleted when it is closed."""
    try:
        return _kept(response, call)
    except _UnreadError as unread:
        response.close()
        return unread


def _kept(response: requests.Response, call: Call) -> Content:
    # One of the two that were asked for, and once: each further one may make a thousand bytes of one.
    if response.headers.get("Content-Encoding", "").strip().lower() not in _COMPRESSIONS:
        raise _UnreadError("it is compressed in a way that was not asked for")
    most_in_memory = LONGEST_IN_MEMORY if call.long else call.most
    # Not in a `with`: whoever reads a long answer closes it.
    file = SpooledTemporaryFile(most_in_memory)  # noqa: SIM115
    for chunk in response.iter_content(CHUNK):
        if file.tell() + len(chunk) > call.most:
            file.close()
            raise _UnreadError(f"it is longer than {call.most // 1024**2:,} MiB")
        file.write(chunk)
    is_short = file.tell() <= most_in_memory
    file.seek(0)
    if not is_short:
        return file
    with file:
        return file.read()


def _outcome(response: requests.Response, content: Content | _UnreadError, key: str) -> Outcome:
    status = response.status_code
    if status == HTTPStatus.NO_CONTENT:
        return Answered(status, body={})
    if isinstance(content, SpooledTemporaryFile) and status < HTTPStatus.MULTIPLE_CHOICES:
        return Answered(status, body=content)
    body = _decoded(content) if isinstance(content, bytes) else None
    if status >= HTTPStatus.BAD_REQUEST:
        return Answered(status, _retry_after(response), _told(body, key))
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        return Unreadable(status, "it sends the call elsewhere, which is not followed", hopeless=True)
    if not isinstance(body, dict | list):
        return Unreadable(status, _kind_of(response, content), hopeless=isinstance(content, _UnreadError))
    if envelope.is_refusal(body):
        return RefusedInBody(_told(body, key))
    return Answered(status, body=body)


def _told(body: object, key: str) -> str:
    # Cut last: half a key or half an address would not be found.
    return redacted(envelope.message(body), key, quote(key, safe=""))[:LONGEST_MESSAGE]


def _decoded(content: bytes) -> Any:  # noqa: ANN401
    try:
        return json_stream.parsed(content)
    except ValueError:
        return None


def _kind_of(response: requests.Response, content: Content | _UnreadError) -> str:
    if isinstance(content, _UnreadError):
        return str(content)
    if not content:
        return "it is empty"
    start = content.lstrip()[:1] if isinstance(content, bytes) else b""
    is_page = "html" in response.headers.get("Content-Type", "") or start == b"<"
    return "it is an HTML page" if is_page else "it is no complete JSON object or list"


def _retry_after(response: requests.Response) -> float | None:
    # Against the server's own clock, where it tells: ours may be wrong.
    now = parse_http_date(response.headers.get("Date")) or datetime.now(UTC)
    return parse_retry_after(response.headers.get("Retry-After"), now=now)
