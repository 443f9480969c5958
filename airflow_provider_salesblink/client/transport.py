"""One call to SalesBlink: build it, send it, read the answer. The only module that talks HTTP."""

from __future__ import annotations

import http.cookiejar
import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote, urlencode

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
from airflow_provider_salesblink.client.errors import AmbiguousWriteError, BudgetSpentError, SalesBlinkError
from airflow_provider_salesblink.client.inputs import encoded
from airflow_provider_salesblink.client.retry import (
    Answered,
    Attempt,
    Done,
    Final,
    LostAnswer,
    NeverSent,
    Outcome,
    Policy,
    ReadBack,
    RefusedInBody,
    Unreadable,
    parse_http_date,
    parse_retry_after,
)

if TYPE_CHECKING:
    from airflow_provider_salesblink.client.pacing import Kind, Pace

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
Landed = TypeVar("Landed")
Record = TypeVar("Record")


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


@dataclass(frozen=True)
class Answer:
    """What SalesBlink answered to a call.

    :param body: the decoded JSON, an object or a list; an empty object for an answer without content.
    :param dry_run: whether nothing was sent, because the client runs dry.
    """

    call: Call
    body: Any = field(repr=False)
    status: int | None = None
    dry_run: bool = False

    def decoded(self, decode: Callable[[Any], Record]) -> Record:
        """The body as ``decode`` understands it.

        :raises SalesBlinkError: as ``decode`` does, with the call that it is about.
        """
        with self.call.named_in_errors(self.status):
            return decode(self.body)

    def each(self, decode: Callable[[Any], Iterator[Record]]) -> Iterator[Record]:
        """The body as ``decode`` understands it, piece by piece.

        :raises SalesBlinkError: as ``decode`` does, with the call that it is about.
        """
        with self.call.named_in_errors(self.status):
            yield from decode(self.body)


class Transport:
    """Sends calls to one API of one root URL with one key, over connections that are kept. Threads may share it.

    :param root: the root URL, as :func:`inputs.root_url` gives it.
    :param prefix: the API's own path below the root.
    :param key: the API key; goes into the ``Authorization`` header as it is.
    :param policy: what to do when a call does not succeed.
    :param pace: the request budget.
    :param timeout: seconds to wait for an answer.
    :param dry_run: log writes instead of sending them.
    :param verify_tls: whether the server must prove who it is.
    :param key_name: what errors call the key.
    :param sleep: how to wait.

    ``longest_wait`` is how many seconds a call waits for the budget at most; endlessly unless set.
    """

    def __init__(
        self,
        root: str,
        prefix: str,
        key: str,
        *,
        policy: Policy,
        pace: Pace,
        timeout: float,
        dry_run: bool = False,
        verify_tls: bool = True,
        key_name: str = "the key",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._origin, slash, path = _parted(root)
        self._prefix = slash + path + prefix
        self._key = key
        self._key_name = key_name
        self._timeout = (min(CONNECT_TIMEOUT, timeout), timeout)
        self._policy = policy
        self._pace = pace
        self._dry_run = dry_run
        self._sleep = sleep
        self.longest_wait = math.inf
        self._new_session = partial(_session, root, verify_tls=verify_tls)
        self._sessions = {os.getpid(): self._new_session()}
        self._retrying = policy.retrying(sleep, self._tell)

    def close(self) -> None:
        """Close the kept connections. A later call opens new ones."""
        self._session().close()

    def _session(self) -> requests.Session:
        # By process: on a connection shared with a forked child, each would get answers meant for the other.
        if os.getpid() not in self._sessions:
            self._sessions[os.getpid()] = self._new_session()
        return self._sessions[os.getpid()]

    def read(self, *parts: str, query: Mapping[str, str] | None = None, long: bool = False) -> Answer:
        """GET the path made of ``parts``, each of them one segment.

        :param long: whether the answer may be too long for the memory; its body may then be an open file of the JSON.
        :raises SalesBlinkError: the subclass says what went wrong.
        """
        call = Call("GET", self._path(parts), "reads", query=urlencode(query or {}, quote_via=quote), long=long)
        return self._answer(call, self._retrying(lambda: self._attempt(call)))

    def write(self, *parts: str, body: Mapping[str, Any]) -> Answer:
        """POST ``body`` as JSON. A second time changes nothing, so it may be repeated until an answer comes.

        :raises SalesBlinkError: the subclass says what went wrong.
        """
        call = Call("POST", self._path(parts), "writes", body=encoded("The request", body))
        if self._dry_run:
            return _not_sent(call, body)
        return self._answer(call, self._retrying(lambda: self._attempt(call)))

    def write_once(self, *parts: str, body: Mapping[str, Any], landed: Callable[[], Landed | None]) -> Answer | Landed:
        """POST ``body`` as JSON so that it is carried out once, whatever happens to the answers.

        :param landed: reads back whether the write was carried out, and what came of it. Called only after an answer
            that leaves this open, before the request is sent again.
        :raises AmbiguousWriteError: whether it was carried out cannot be read back.
        :raises SalesBlinkError: the subclass says what went wrong; the write was not carried out.
        """
        call = Call("POST", self._path(parts), "writes", body=encoded("The request", body), repeatable=False)
        if self._dry_run:
            return _not_sent(call, body)
        once = _Once(call, lambda: self._attempt(call), landed)
        attempt = self._retrying(once.attempt)
        if isinstance(attempt.verdict, ReadBack):
            self._sleep(min(attempt.verdict.at_least, self._policy.settle))
        found = once.look_back()
        return found if found is not None else self._answer(call, attempt)

    def send_once(self, *parts: str, body: Mapping[str, Any]) -> Answer:
        """POST ``body`` as JSON, and leave it at that when its answer is lost: for callers who look for many at once.

        :raises AmbiguousWriteError: the answer was lost.
        :raises SalesBlinkError: the subclass says what went wrong; the write was not carried out.
        """
        call = Call("POST", self._path(parts), "writes", body=encoded("The request", body), repeatable=False)
        if self._dry_run:
            return _not_sent(call, body)
        attempt = self._retrying(lambda: _left_in_doubt(self._attempt(call)))
        if isinstance(attempt.verdict, Final) and attempt.verdict.doubt:
            raise AmbiguousWriteError(
                f"{call} was sent, and its answer was lost ({redacted(failures.in_words(attempt.outcome))}). "
                "Look before sending it again, or a person may be mailed twice.",
                status=getattr(attempt.outcome, "status", None), method=call.method, path=call.path,
                settle=attempt.verdict.doubt.at_least,
            )  # fmt: skip
        return self._answer(call, attempt)

    def _path(self, parts: tuple[str, ...]) -> str:
        return "/".join([self._prefix, *(quote(part, safe="") for part in parts)])

    def _answer(self, call: Call, attempt: Attempt) -> Answer:
        if isinstance(attempt.verdict, Done) and isinstance(attempt.outcome, Answered):
            return Answer(call, attempt.outcome.body, attempt.outcome.status)
        raise failures.error(attempt.outcome, method=call.method, path=call.path, key_name=self._key_name)

    def _attempt(self, call: Call) -> Attempt:
        with call.named_in_errors():
            while wait := self._pace.take(call.kind):
                if wait > self.longest_wait:
                    raise BudgetSpentError(
                        f"The budget of {call.kind} is used up for {wait:.0f} s, longer than {self.longest_wait:g} s; "
                        f"nothing was sent.",
                        status=None,
                        retry_after=wait,
                    )
                if wait > 1:
                    log.info("The budget of %s is used up; waiting %.0f s before %s.", call.kind, wait, call)
                self._sleep(wait)
        outcome = self._exchange(call)
        return Attempt(outcome, self._policy.judge(outcome, repeatable=call.repeatable), str(call))

    def _exchange(self, call: Call) -> Outcome:
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

    def _tell(self, attempt: Attempt, number: int, wait: float) -> None:
        log.warning(
            "%s: %s (attempt %d of %d); %s in %.1f s.",
            attempt.call,
            redacted(failures.in_words(attempt.outcome)),
            number,
            self._policy.max_attempts,
            "looking whether it was carried out" if isinstance(attempt.verdict, ReadBack) else "trying again",
            wait,
        )


def _left_in_doubt(attempt: Attempt) -> Attempt:
    verdict = attempt.verdict
    return replace(attempt, verdict=Final(verdict)) if isinstance(verdict, ReadBack) else attempt


class _Once(Generic[Landed]):
    """A write that must not happen twice: after an attempt in doubt it is looked for before it is sent again."""

    def __init__(self, call: Call, attempt: Callable[[], Attempt], landed: Callable[[], Landed | None]) -> None:
        self._call = call
        self._attempt = attempt
        self._landed = landed
        self._doubt: Attempt | None = None
        self.found: Landed | None = None

    def attempt(self) -> Attempt:
        """Send the write, unless the last attempt is found to have been carried out after all."""
        if self._doubt and self.look_back() is not None:
            return replace(self._doubt, verdict=Done())
        attempt = self._attempt()
        self._doubt = attempt if isinstance(attempt.verdict, ReadBack) else None
        return attempt

    def look_back(self) -> Landed | None:
        """What came of the attempt in doubt; None where nothing did, or no attempt is in doubt."""
        if self._doubt is None or self.found is not None:
            return self.found
        call, happened = self._call, redacted(failures.in_words(self._doubt.outcome))
        try:
            self.found = self._landed()
        except SalesBlinkError as error:
            raise AmbiguousWriteError(
                f"{call} was sent, its answer was lost ({happened}), and looking whether it was carried out failed: "
                f"{error} Look before sending it again, or a person may be mailed twice.",
                status=getattr(self._doubt.outcome, "status", None), method=call.method, path=call.path,
            ) from error  # fmt: skip
        log.info("%s: %s; it was %scarried out.", call, happened, "" if self.found is not None else "not ")
        return self.found


def _not_sent(call: Call, body: Mapping[str, Any]) -> Answer:
    columns = {name for value in body.values() if isinstance(value, Mapping) for name in value}
    log.info("Dry run, not sent: %s with %s.", call, redacted(", ".join(sorted(body.keys() | columns))))
    return Answer(call, {}, dry_run=True)


def _parted(root: str) -> tuple[str, str, str]:
    scheme, _, rest = root.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}", slash, path


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
