"""Send single requests over HTTP and return what happened as an outcome. The only module that uses HTTP."""

from __future__ import annotations

import http.cookiejar
import logging
import os
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
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

from airflow_provider_salesblink.client import error_messages, redaction, response_limits
from airflow_provider_salesblink.client.errors import InvalidInputError, SalesBlinkError
from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.client.response_content import (
    Content,
    ContentKind,
    ContentRefusedError,
    outcome_of_answer,
)
from airflow_provider_salesblink.client.retry import LostAnswer, NeverSent, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_salesblink.client.rate_limit import RequestKind

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
"""Seconds. A server that has not accepted a connection by then is down; ``timeout`` is for answers."""

USER_AGENT = "airflow-provider-salesblink"
CONNECTIONS = 16
CHUNK = 65_536
LONGEST_IN_MEMORY = 4_194_304
"""Bytes. A longer answer goes into a file, if the call says that it may be long."""

LONGEST_ACKNOWLEDGEMENT = 16 * 1024**2
"""Bytes that the answer to a write may have, unpacked. A person has a few thousand at most."""
LONGEST_READ = 128 * 1024**2
"""The same for answers that are read into memory: about 250,000 people, or a team with its pictures."""
LONGEST_LIST = 8 * 1024**3
"""The same for answers in a file: about 16 million people. Keeps an endless list from filling the temporary folder."""

_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
"""OpenSSL's names for an answer in plain text: the first before version 3.2, the second since."""

_COMPRESSIONS = ("", "identity", "gzip", "x-gzip", "deflate")

_KINDS: dict[str, RequestKind] = {
    "GET": "reads",
    "POST": "writes",
    "PATCH": "writes",
    "PUT": "deletes",
    "DELETE": "deletes",
}
"""The method -> the rate limit that counts it."""


@dataclass(frozen=True, repr=False)
class Call:
    """One call of the API.

    :param path: the path below the root, each part quoted.
    :param repeatable: whether sending it a second time changes nothing.
    :param long: whether the answer may be too long for memory.
    :param content: what the answer has to be.
    """

    method: str
    path: str
    query: str = ""
    body: bytes | None = None
    repeatable: bool = True
    long: bool = False
    content: ContentKind = "json"

    @property
    def kind(self) -> RequestKind:
        """The rate limit that counts it."""
        return _KINDS[self.method]

    @property
    def max_answer_bytes(self) -> int:
        """The most bytes that its answer may have, unpacked."""
        if self.kind != "reads":
            return LONGEST_ACKNOWLEDGEMENT
        return LONGEST_LIST if self.long else LONGEST_READ

    def __str__(self) -> str:
        return redacted(f"{self.method} {self.path}")

    def __repr__(self) -> str:
        return f"<{self}>"

    @contextmanager
    def named_in_errors(self, status: int | None = None) -> Iterator[None]:
        """While active, add this call's method and path, and ``status``, to any error raised."""
        try:
            yield
        except SalesBlinkError as error:
            error.status, error.method, error.path = status, self.method, redacted(self.path)
            raise


class HttpTransport:
    """Sends single requests to one server with one key, and keeps its connections open. Threads may share it.

    :param origin: scheme, host and port of the server.
    :param key: the whole ``Authorization`` header.
    :param timeout: seconds to wait for an answer.
    :param verify_tls: whether the server's certificate must be valid.
    """

    def __init__(self, origin: str, key: str, *, timeout: float, verify_tls: bool) -> None:
        self._origin = origin
        self._key = key
        self._timeout = (min(CONNECT_TIMEOUT, timeout), timeout)
        self._new_session = partial(_session, origin, verify_tls=verify_tls)
        self._sessions = {os.getpid(): self._new_session()}
        if not verify_tls and origin.startswith("https://"):
            log.warning("verify_tls is off: anybody between this machine and %s can read the key.", origin)

    def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        self._session().close()

    def _session(self) -> requests.Session:
        # By process: on a connection shared with a forked child, each would get answers meant for the other.
        if os.getpid() not in self._sessions:
            self._sessions[os.getpid()] = self._new_session()
        return self._sessions[os.getpid()]

    def send(self, call: Call) -> Outcome:
        """Send ``call`` once and return the outcome.

        :raises InvalidInputError: an argument of the call is the API key. URLs are logged, here and on the way.
        """
        if quote(self._key, safe="") in re.split("[/=]", f"{call.path}={call.query}"):
            raise InvalidInputError("An id or a search term is the API key; nothing was sent.")
        url = f"{self._origin}{call.path}" + (f"?{call.query}" if call.query else "")
        headers = {"Content-Type": "application/json"} if call.body is not None else {}
        if call.content == "csv":
            headers["Accept"] = "text/csv, application/json"
        started = time.monotonic()
        try:
            # Twice the size on the wire: each chunk has a frame.
            with redaction.redact_urllib3_logs(), response_limits.max_bytes(2 * call.max_answer_bytes):
                response = self._session().request(
                    call.method,
                    url,
                    data=call.body,
                    headers=headers,
                    auth=self._sign,
                    timeout=self._timeout,
                    # The key is for the named server only.
                    allow_redirects=False,
                    stream=True,
                )
                content = _read(response, call)
        except (requests.RequestException, HTTPError, OSError) as error:
            # Not raised again: the exception's text, and any traceback with it, holds the whole URL.
            outcome = _outcome_of_exception(error)
        else:
            outcome = outcome_of_answer(response.status_code, response.headers, content, self._key, call.content)
        log.debug("%s: %s after %.0f ms.", call, error_messages.describe(outcome), (time.monotonic() - started) * 1000)
        return outcome

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # Passed as `auth`: otherwise requests would let a matching line of ~/.netrc replace the header.
        request.headers["Authorization"] = self._key
        return request


def _session(root: str, *, verify_tls: bool) -> requests.Session:
    session = requests.Session()
    # The environment is read here, once: requests would read it for each call, and let ~/.netrc replace the key.
    session.trust_env = False
    if root.startswith("https://"):
        # Plain http is for this machine only. Through a proxy, the key would leave the machine unencrypted.
        session.proxies.update(requests.utils.get_environ_proxies(root))
    session.verify = verify_tls and (os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True)
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"Accept": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": USER_AGENT})
    adapter = _Adapter(pool_connections=1, pool_maxsize=CONNECTIONS, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.hooks["response"].append(_drop_location)
    return session


class _Adapter(HTTPAdapter):
    """Connects as ``requests`` does, directly or through proxies, and limits the answers."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        response_limits.limit_answers(self.poolmanager)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:  # noqa: ANN401
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if is_new:
            response_limits.limit_answers(manager)
        return manager


def _drop_location(response: requests.Response, **_: object) -> None:
    # requests reads this header even if it does not follow redirects, and fails if the value is not a URL.
    response.headers.pop("Location", None)
    if response.status_code < HTTPStatus.OK:
        # The final answer is still to come on this connection. It would be taken for the next call's answer.
        response.close()


def _outcome_of_exception(error: requests.RequestException | HTTPError | OSError) -> Outcome:
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    match error, reason:
        case requests.exceptions.SSLError(), _ if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return NeverSent("the server's certificate is not trusted", hopeless=True)
        case requests.exceptions.SSLError(), _ if any(sign in str(error) for sign in _NO_TLS):
            # Not NeverSent: OpenSSL's error is good enough for a hint, but not to decide that a write may be repeated.
            return LostAnswer("the server does not use TLS; a server on this machine may need http:// in its root URL")
        case requests.exceptions.ConnectTimeout(), _:
            return NeverSent("the server did not accept the connection in time")
        case ((requests.exceptions.InvalidURL() | LocationValueError()), _):
            return NeverSent("the root URL does not name a server", hopeless=True)
        case requests.exceptions.ProxyError(), _ if _is_proxy_refusal(reason):
            return NeverSent("the proxy refused the connection")
        case _, NameResolutionError():
            return NeverSent("the server's name cannot be resolved")
        case _, NewConnectionError():
            return NeverSent("the server does not accept connections")
        case (requests.exceptions.ReadTimeout(), _) | (_, ReadTimeoutError()):
            return LostAnswer("no answer in time", late=True)
        case OSError(errno=int(number)), _ if not isinstance(error, requests.RequestException):
            return LostAnswer(f"the answer could not be stored on this machine ({os.strerror(number)})")
        case _:
            return LostAnswer("the connection broke before the answer was complete")


def _is_proxy_refusal(reason: object) -> bool:
    # urllib3 also raises ProxyError when a connection through the proxy breaks after the request was sent.
    cause = getattr(reason, "original_error", None)
    return isinstance(cause, NewConnectionError | ConnectTimeoutError) or "Tunnel connection failed" in str(cause)


def _read(response: requests.Response, call: Call) -> Content | ContentRefusedError:
    """Return the content: bytes, or an open file if it is long. The file is deleted when it is closed."""
    try:
        return _download(response, call)
    except ContentRefusedError as refused:
        response.close()
        return refused


def _download(response: requests.Response, call: Call) -> Content:
    # Only what was asked for, and only once: each further layer may turn one byte into a thousand.
    if response.headers.get("Content-Encoding", "").strip().lower() not in _COMPRESSIONS:
        raise ContentRefusedError("it is compressed in a way that the client did not ask for")
    max_in_memory = LONGEST_IN_MEMORY if call.long else call.max_answer_bytes
    # Not in a `with`: the reader of a long answer closes it.
    file = SpooledTemporaryFile(max_in_memory)  # noqa: SIM115
    length = 0
    for chunk in response.iter_content(CHUNK):
        length += len(chunk)
        if length > call.max_answer_bytes:
            file.close()
            raise ContentRefusedError(f"it is longer than {call.max_answer_bytes // 1024**2:,} MiB")
        file.write(chunk)
    file.seek(0)
    if length > max_in_memory:
        return file
    with file:
        return file.read()
