"""Who was added when, kept where the users of a key keep what they share: a file or a Redis server.

The count of a day is the number of people whose last add is not before the day began. So loads whose days begin at
different times, because their time zones differ, share one count. People have no addresses here, only keyed hashes.
"""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from redis import Redis

LOCK_TIMEOUT = 60.0
KEPT_FOR = 30 * 86_400.0
"""Seconds for which a person is kept after the last add, so that :data:`MOST_DAYS` counts across a slow ramp."""
CLOCK_TOLERANCE = 3600.0
"""Seconds by which the time of a count may be ahead before a load takes it for that of a clock that was wrong."""
MOST_DAYS = 3
"""On how many days a person is sent who never shows in the campaign. After that, others would never get their turn."""


@dataclass(frozen=True)
class Day:
    """A day of one load, in Unix seconds by the clock of the load.

    :param since: when it began.
    :param now: the time now.
    :param counted_at: until when what is sent now may reach SalesBlink. It counts as sent then.
    :param most: how many people may be added in the day.
    """

    since: float
    now: float
    counted_at: float
    most: int


@dataclass(frozen=True)
class Counted:
    """What became of the people of one question.

    :param may_be_sent: those who are counted in this day, now or before.
    :param new: those of them who are counted now for the first time in this day.
    :param given_up: those who were sent on :data:`MOST_DAYS` days, and are not in the campaign.
    :param complete_since: the time since which the store has lost nothing.
    """

    may_be_sent: set[bytes] = field(default_factory=set)
    new: set[bytes] = field(default_factory=set)
    given_up: set[bytes] = field(default_factory=set)
    complete_since: float = -math.inf


class DailyCounts(Protocol):
    """A store of who was added when, for one key."""

    def take(self, people: Sequence[bytes], day: Day) -> Counted:
        """Count people in a day, in their order, until it is full. People who are counted already need no room."""

    def give_back(self, people: Sequence[bytes]) -> None:
        """Take people out of the count who were certainly not added, unless they are counted on an earlier day too."""


class FileCounts:
    """Who was added when, in a file that the processes of this machine share."""

    def __init__(self, path: Path, scope: str) -> None:
        self._path = path
        self._scope = scope
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._open()) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute(
                "CREATE TABLE IF NOT EXISTS counted "
                "(scope TEXT, person BLOB, at REAL, days INTEGER, PRIMARY KEY (scope, person)) WITHOUT ROWID"
            )
            database.execute("CREATE INDEX IF NOT EXISTS counted_at ON counted (scope, at)")
            database.execute("COMMIT")

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=LOCK_TIMEOUT, isolation_level=None)

    def take(self, people: Sequence[bytes], day: Day) -> Counted:
        """Count people in a day, in their order, until it is full."""
        found, scope = Counted(), self._scope
        with closing(self._open()) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("DELETE FROM counted WHERE scope = ? AND at < ?", (scope, day.now - KEPT_FOR))
            # After a clock was set back: nobody waits until the time that it showed before.
            set_back = (day.counted_at, scope, day.counted_at + CLOCK_TOLERANCE)
            database.execute("UPDATE counted SET at = ? WHERE scope = ? AND at > ?", set_back)
            count = database.execute("SELECT count(*) FROM counted WHERE scope = ? AND at >= ?", (scope, day.since))
            room = day.most - int(count.fetchone()[0])
            for who in people:
                before = database.execute("SELECT at, days FROM counted WHERE scope = ? AND person = ?", (scope, who))
                at, days = before.fetchone() or (-math.inf, 0)
                if at < day.since and days >= MOST_DAYS:
                    found.given_up.add(who)
                elif at < day.since and len(found.new) < room:
                    database.execute(
                        "INSERT OR REPLACE INTO counted VALUES (?, ?, ?, ?)", (scope, who, day.counted_at, days + 1)
                    )
                    found.new.add(who)
                elif at >= day.since:
                    # Again, so that a second attempt after midnight counts in both days.
                    database.execute(
                        "UPDATE counted SET at = ? WHERE scope = ? AND person = ?", (day.counted_at, scope, who)
                    )
                    found.may_be_sent.add(who)
            database.execute("COMMIT")
        found.may_be_sent.update(found.new)
        return found

    def give_back(self, people: Sequence[bytes]) -> None:
        """Take people out of the count who were certainly not added, unless they are counted on an earlier day too."""
        with closing(self._open()) as database:
            database.executemany(
                "DELETE FROM counted WHERE scope = ? AND person = ? AND days = 1",
                [(self._scope, who) for who in people],
            )


_TAKE = """
local counted, days, memory = unpack(KEYS)
local since, now, at, most, kept, most_days, seen, tolerance = unpack(ARGV, 1, 8)

for _, who in ipairs(redis.call('ZRANGEBYSCORE', counted, '-inf', '(' .. (now - kept))) do
    redis.call('ZREM', counted, who)
    redis.call('HDEL', days, who)
end
for _, who in ipairs(redis.call('ZRANGEBYSCORE', counted, '(' .. (at + tolerance), '+inf')) do
    redis.call('ZADD', counted, at, who)
end

local info = redis.call('INFO', 'server')
local run = info:match('run_id:(%w+)') or ''
local was = redis.call('HMGET', memory, 'run', 'since')
local complete = was[2]
if not was[1] and seen ~= run then
    complete = now - (info:match('uptime_in_seconds:(%d+)') or 0)
elseif was[1] ~= run then
    complete = now
end
redis.call('HSET', memory, 'run', run, 'since', complete)
if tonumber(complete) > since - (at - now) then most = 0 end

local room = most - redis.call('ZCOUNT', counted, since, '+inf')
local answers = {}
for place = 9, #ARGV do
    local who, answer = ARGV[place], 'full'
    local before = redis.call('ZSCORE', counted, who)
    if before and tonumber(before) >= tonumber(since) then
        answer = 'again'
        redis.call('ZADD', counted, at, who)
    elseif tonumber(redis.call('HGET', days, who) or 0) >= tonumber(most_days) then
        answer = 'given up'
    elseif room > 0 then
        answer, room = 'new', room - 1
        redis.call('ZADD', counted, at, who)
        redis.call('HINCRBY', days, who, 1)
    end
    table.insert(answers, answer)
end
for _, name in ipairs(KEYS) do redis.call('EXPIRE', name, kept) end
return {run, tostring(complete), unpack(answers)}
"""
"""Count people in a day. Returns the server's run, the time since which it has lost nothing, and what became of each.

If the server stores the name of another run, it restarted from an older snapshot; the script takes now as that time.
If it stores no name, it has been empty since its start; or since it was emptied, if the caller has seen this run. A day
of which something may be lost is full.
"""
_GIVE_BACK = """
for _, who in ipairs(ARGV) do
    if redis.call('HGET', KEYS[2], who) == '1' then
        redis.call('ZREM', KEYS[1], who)
        redis.call('HDEL', KEYS[2], who)
    end
end
"""
_AT_ONCE = 1000
"""People in one call of the script."""


class RedisCounts:
    """Who was added when, in a Redis server that machines share.

    The times are those of the callers, whose clocks agree well enough for days.
    """

    def __init__(self, redis: Redis, scope: str) -> None:
        self._redis = redis
        self._keys = [f"salesblink:{name}:{scope}" for name in ("added", "added-days", "added-memory")]
        self._run = b""
        self._take = redis.register_script(_TAKE)
        self._give_back = redis.register_script(_GIVE_BACK)

    def take(self, people: Sequence[bytes], day: Day) -> Counted:
        """Count people in a day, in their order, until it is full."""
        may_be_sent, new, given_up, complete_since = set[bytes](), set[bytes](), set[bytes](), -math.inf
        for start in range(0, len(people), _AT_ONCE):
            batch = people[start : start + _AT_ONCE]
            times = [f"{time:.3f}" for time in (day.since, day.now, day.counted_at)]
            args: list[Any] = [*times, day.most, int(KEPT_FOR), MOST_DAYS, self._run, CLOCK_TOLERANCE, *batch]
            self._run, since, *answers = cast("list[bytes]", self._take(keys=self._keys, args=args))
            complete_since = max(complete_since, float(since))
            words = dict(zip(batch, answers, strict=True))
            may_be_sent.update(who for who, word in words.items() if word in (b"again", b"new"))
            new.update(who for who, word in words.items() if word == b"new")
            given_up.update(who for who, word in words.items() if word == b"given up")
        return Counted(may_be_sent, new, given_up, complete_since)

    def give_back(self, people: Sequence[bytes]) -> None:
        """Take people out of the count who were certainly not added, unless they are counted on an earlier day too."""
        self._give_back(keys=self._keys[:2], args=people)
