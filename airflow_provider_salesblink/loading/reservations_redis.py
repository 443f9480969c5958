"""Reservations in a Redis server that machines share, and since when it has forgotten none."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from redis import Redis

HELD_FOR = 900.0
"""Seconds. Long enough for a client's attempts at one call; what a dead load has reserved is free after it."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Another load that holds somebody's reservation, and whether it is at work."""

    owner: str
    is_at_work: bool


_TAKE = """
local memory = table.remove(KEYS)
local taken = {}
for place, name in ipairs(KEYS) do
    local is_new = redis.call('SET', name, ARGV[1], 'NX', 'PX', ARGV[2])
    local own = is_new or redis.call('GET', name) == ARGV[1]
    if own and not is_new then redis.call('PEXPIRE', name, ARGV[2]) end
    taken[place] = own and 1 or 0
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local info = redis.call('INFO', 'server')
local run = info:match('run_id:(%w+)') or ''
local was = redis.call('HMGET', memory, 'run', 'since')
local since = tonumber(was[2])
if not was[1] and ARGV[3] ~= run then
    since = now - (info:match('uptime_in_seconds:(%d+)') or 0) * 1000
elseif was[1] ~= run then
    since = now
end
if was[1] ~= run then redis.call('HSET', memory, 'run', run, 'since', since) end
redis.call('PEXPIRE', memory, 2 * ARGV[2])
return {run, now - since, unpack(taken)}
"""
"""Reserves people, or anew those that are the owner's already, and answers 1 for each that is; before that, the
server's run, and for how many milliseconds it has forgotten nothing.

A server that holds the name of another run came back with an older state, just now as far as anybody knows. One that
holds none is empty since its start; or, where the caller knows this run of it, since it was emptied.
"""

_TAKE_OVER = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('SET', KEYS[3], '', 'PX', ARGV[3])
return 1
"""

_ABOUT_TO_SEND = """
redis.call('SET', KEYS[2], '', 'PX', ARGV[2])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""

_RELEASE = """
for _, name in ipairs(KEYS) do
    if redis.call('GET', name) == ARGV[1] then redis.call('DEL', name) end
end
"""


class RedisReservations:
    """Reservations in a Redis server that machines share."""

    def __init__(self, redis: Redis, scope: str, owner: str, *, held_for: float = HELD_FOR) -> None:
        self._redis = redis
        self._scope = scope
        self._owner = owner.encode()
        self._held_for = int(held_for * 1000)
        self._at_work = self._work_of(owner)
        self._memory = f"salesblink:memory:{scope}"
        self._run = b""
        self._known_since = math.inf
        self._take = redis.register_script(_TAKE)
        self._about_to_send = redis.register_script(_ABOUT_TO_SEND)
        self._take_over = redis.register_script(_TAKE_OVER)
        self._release = redis.register_script(_RELEASE)

    def take(self, people: Sequence[bytes]) -> set[bytes]:
        """Reserve people for this load; those of ``people`` that are its own now."""
        self._redis.set(self._at_work, "", px=self._held_for)
        keys = [*self._names(people), self._memory]
        self._run, known_for, *answers = self._take(keys=keys, args=[self._owner, self._held_for, self._run])
        self._known_since = time.monotonic() - known_for / 1000
        return {who for who, taken in zip(people, answers, strict=True) if taken}

    def about_to_send(self, who: bytes) -> bool:
        """Whether a person is reserved for this load, right now; then the reservation starts again."""
        keys = [*self._names([who]), self._at_work]
        return bool(self._about_to_send(keys=keys, args=[self._owner, self._held_for]))

    def known_since(self) -> float:
        """Since when, by the monotonic clock, no reservation was forgotten."""
        return self._known_since

    def idle_owner(self, who: bytes) -> str | None:
        """Who holds the reservation of a person without being at work any more; None while somebody is."""
        (name,) = self._names([who])
        held = cast("bytes | None", self._redis.get(name))
        owner = held.decode() if held is not None else None
        return None if owner is None or self._redis.exists(self._work_of(owner)) else owner

    def holders(self, people: Collection[bytes]) -> dict[bytes, Holder]:
        """Return the holder of each of ``people`` that another load holds."""
        names = list(people)
        held = cast("list[bytes | None]", self._redis.mget(self._names(names))) if names else []
        owners = {who: owner for who, owner in zip(names, held, strict=True) if owner and owner != self._owner}
        at_work = {owner: bool(self._redis.exists(self._work_of(owner.decode()))) for owner in set(owners.values())}
        return {who: Holder(owner.decode(), at_work[owner]) for who, owner in owners.items()}

    def take_over(self, who: bytes, idle_owner: str) -> bool:
        """Reserve a person in place of an owner who is still idle."""
        keys = [*self._names([who]), self._work_of(idle_owner), self._at_work]
        return bool(self._take_over(keys=keys, args=[idle_owner, self._owner, self._held_for]))

    def _work_of(self, owner: str) -> str:
        return f"salesblink:at-work:{self._scope}:{owner}"

    def release(self, people: Sequence[bytes]) -> None:
        """Give up reservations of people who were certainly not added."""
        self._release(keys=self._names(people), args=[self._owner])

    def _names(self, people: Sequence[bytes]) -> list[str]:
        return [f"salesblink:reserved:{self._scope}:{who.hex()}" for who in people]

    def left_at_work(self) -> float:
        """How many seconds ago an earlier run of this load, which did not finish, last sent; infinite if none."""
        left = self._redis.pttl(self._at_work)
        return max(0, self._held_for - left) / 1000 if left >= 0 else math.inf

    def finish(self) -> None:
        """Note that nothing of this load is under way any more."""
        self._redis.delete(self._at_work)
