"""Random input for the client, and what must hold for every result.

``test_fuzzing.py`` runs a few examples; ``benchmarks/fuzz_client.py`` runs as many as there is time for.
"""

from __future__ import annotations

import gzip
import json
import logging
import math
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from airflow_provider_salesblink.client import SalesBlinkClient, SalesBlinkError
from airflow_provider_salesblink.client.retry import Policy
from tests.client.documented_calls import DOCUMENTED, Scene
from tests.client.raw_server import RawServer, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.client.raw_server import Piece, Received

KEY = "sk-Live_0123456789abcdef"
ADDRESS = "ana.secret@example.com"
PRIVATE = (KEY, ADDRESS, "ana.secret%40example.com")
LONGEST_SECONDS = 3.0

TEXTS = (
    st.text(st.characters(exclude_categories=()))
    | st.sampled_from(["", " ", "c1", "..", "a/b", "a\r\nX: 1", "\x00", "\ud800", "Email", "None", "nan", KEY, ADDRESS])
    | st.builds(lambda text: text * 5_000, st.text(min_size=1, max_size=5))
)
NUMBERS = st.integers() | st.floats() | st.builds(lambda power: 10**power, st.integers(0, 6_000))
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | st.binary() | st.dates() | st.builds(object),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4) | st.tuples(inner) | st.sets(TEXTS)
    ),
    max_leaves=8,
)
"""Any value that an argument can have."""

NAMES = [
    "success", "error", "message", "msg", "data", "total", "campaigns", "campaign", "prospects", "prospect", "members",
    "team", "id", "_id", "campaignID", "prospectID", "name", "Email", "email", "status", "paused", "unsubscribed",
    "user_name", "user_picture", KEY, ADDRESS,
]  # fmt: skip
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["c1", "p1", KEY, ADDRESS]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=6),
    max_leaves=25,
)
"""Documents made of the words in the API's answers."""

RIGHT = {"id": "c1", "campaignID": "c1", "prospectID": "p1", "name": "Spring", "Email": ADDRESS, "paused": True}
SHAPES = [
    RIGHT, [RIGHT], {"data": [RIGHT]}, {"success": True, "data": RIGHT}, {"data": {"prospects": [RIGHT, RIGHT]}},
    {"campaigns": [RIGHT]}, {"success": False, "message": f"{KEY} {ADDRESS}"}, {"error": True, "message": {"msg": KEY}},
]  # fmt: skip

STATUSES = st.builds(b"%d %s".__mod__, st.tuples(st.integers(0, 1200), st.binary(max_size=10))) | st.sampled_from([
    b"200 OK", b"201 Created", b"204 No Content", b"400 Bad Request", b"401 Unauthorized", b"404 No", b"429 Too Many",
    b"302 Found", b"500 Oops", b"503 Busy", b"100 Continue", b"102 Processing",
])  # fmt: skip
HEADER_NAMES = st.sampled_from([
    "Content-Type", "Content-Encoding", "Transfer-Encoding", "Content-Length", "Retry-After", "Date", "Location",
    "Connection", "Set-Cookie", "Trailer", "Upgrade",
]) | st.text("aZ-:\x00é ", max_size=8)  # fmt: skip
HEADER_VALUES = st.sampled_from([
    "gzip", "deflate", "br", "gzip, gzip", "chunked", "identity", "0", "1", "-1", "5", "99999999999999999999", "nan",
    "text/html", "application/json; charset=utf-16", "application/json; charset=nonsense", "http://[bad", "close",
    "Wed, 99 Foo 9999 99:99:99 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "keep-alive", f"a={KEY}", "https://example.com/",
]) | st.text(st.characters(max_codepoint=255), max_size=20)  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """Replaces a piece of some bytes."""

    start: float
    length: int
    by: bytes

    def __call__(self, content: bytes) -> bytes:
        start = int(self.start * len(content))
        return content[:start] + self.by + content[start + self.length :]


MUTATIONS = st.lists(st.builds(Mutation, st.floats(0, 1), st.integers(0, 50), st.binary(max_size=8)), max_size=3)
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "utf-16": lambda content: content.decode("utf-8", "replace").encode("utf-16", "replace"),
    "bom": lambda content: b"\xef\xbb\xbf" + content,
}


@dataclass(frozen=True)
class Answers:
    """An answer in parts, so that Hypothesis can shrink a failing one."""

    status: bytes
    headers: list[tuple[str, str]]
    document: Any
    encoder: str
    framing: str
    inside: list[Mutation] = field(default_factory=list)
    outside: list[Mutation] = field(default_factory=list)

    def wire(self) -> bytes:
        """Return its bytes."""
        content = json.dumps(self.document).encode()
        for mutation in self.inside:
            content = mutation(content)
        content = ENCODERS[self.encoder](content)
        headers = [
            *self.headers,
            *([("Content-Encoding", self.encoder)] if self.encoder in ("gzip", "deflate") else []),
        ]
        if self.framing == "length":
            headers.append(("Content-Length", str(len(content))))
        if self.framing == "chunked":
            headers.append(("Transfer-Encoding", "chunked"))
            content = (
                b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (content[:7], content[7:]) if part)
                + b"0\r\n\r\n"
            )
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1", "replace")
        whole = b"HTTP/1.1 " + self.status + b"\r\n" + lines + b"\r\n" + content
        for mutation in self.outside:
            whole = mutation(whole)
        return whole


ANSWERS = (
    st.builds(
        Answers,
        STATUSES,
        st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=3),
        st.sampled_from(SHAPES) | DOCUMENTS,
        st.sampled_from(sorted(ENCODERS)),
        st.sampled_from(["length", "chunked", "close"]),
        MUTATIONS,
        MUTATIONS,
    ).map(Answers.wire)
    | st.binary(max_size=400)
    | st.binary(max_size=200).map(lambda content: b"HTTP/1.1 200 OK\r\n\r\n" + content)
)  # fmt: skip


class Listener(logging.Handler):
    """Keeps what the client and its HTTP library log, from DEBUG up."""

    NAMES = ("airflow_provider_salesblink", "urllib3", "requests")

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))

    def __enter__(self) -> Listener:
        self._before = [(logging.getLogger(name), logging.getLogger(name).level) for name in self.NAMES]
        for logger, _ in self._before:
            logger.setLevel(logging.DEBUG)
            logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        for logger, level in self._before:
            logger.setLevel(level)
            logger.removeHandler(self)


class Fuzzed:
    """A client of a server with a configurable answer, and what is logged meanwhile."""

    def __init__(self) -> None:
        self.answer = answer({"success": True, "data": [RIGHT]})
        self.server = RawServer(self._script)
        self.client = SalesBlinkClient(
            KEY, self.server.url, reads_per_minute=0, writes_per_minute=0, timeout=0.5,
            policy=Policy(max_attempts=1, settling_time=0),
        )  # fmt: skip
        self.listener = Listener()
        self.outcomes: dict[str, int] = {}

    def __enter__(self) -> Fuzzed:
        self.listener.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.__exit__()
        self.client.close()
        self.server.__exit__(None, None, None)

    def _script(self, _: Received) -> Iterator[Piece]:
        yield self.answer
        yield "close"

    def check(self, call: Callable[[], Any]) -> Any:
        """Return a call's result, or None after a documented error. Check that neither shows anything private.

        :raises AssertionError: the call took too long or showed something private.
        """
        self.listener.said.clear()
        self.server.requests.clear()
        before, result, error_text = time.monotonic(), None, ""
        try:
            result = call()
            outcome = "answered"
        except SalesBlinkError as error:
            outcome = type(error).__name__
            error_text = f"{error} {error!r} {vars(error)} {error.__cause__} {error.__context__}"
        finally:
            self.client.close()
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        assert time.monotonic() - before < LONGEST_SECONDS
        shown = error_text + "\n".join(self.listener.said)
        assert [secret for secret in PRIVATE if secret in shown] == []
        for request in self.server.requests:
            assert request.headers.get("authorization") == KEY
        return result


CALLS: list[Callable[[SalesBlinkClient], Any]] = [
    *((lambda client, call=call: call.make(client, Scene("c1", "p1"))) for call in DOCUMENTED),
    lambda client: list(client.prospects.each("c1")),
    lambda client: client.prospects.send("c1", [{"Email": ADDRESS}]),
]
"""Every documented call, and the two other ways to make one."""

RECORDS: list[dict[str, Any]] = [
    {"id": str, "name": str | None, "paused": bool | None, "raw": dict},
    {
        "id": str | None, "email": str | None, "campaign_id": str | None, "unsubscribed": bool | None, "fields": dict,
        "raw": dict,
    },
    {"name": str | None, "email": str | None, "raw": dict},
]  # fmt: skip


def is_promised(result: Any) -> bool:
    """Return whether a result is a record, a list of records with the documented keys and types, or a list of ids."""
    records = result if isinstance(result, list) else [result]
    is_of_ids = isinstance(result, list) and all(map(_is_id, result))
    return is_of_ids or all(any(_is_record(record, kinds) for kinds in RECORDS) for record in records)


def _is_id(record: Any) -> bool:
    return record is None or (isinstance(record, str) and record.isprintable())


def _is_record(record: Any, kinds: Mapping[str, Any]) -> bool:
    return (
        isinstance(record, dict)
        and record.keys() == kinds.keys()
        and all(isinstance(record[name], kind) for name, kind in kinds.items())
        and _is_writable(record)
    )


def _is_writable(value: Any) -> bool:
    """Return whether JSON can hold the value, because results are written to files."""
    match value:
        case dict():
            return all(isinstance(name, str) and _is_writable(each) for name, each in value.items())
        case list():
            return all(map(_is_writable, value))
        case float():
            return math.isfinite(value)
    return value is None or isinstance(value, str | int)
