"""Reservations in a Redis server that machines share, and since when the server has lost none."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, cast

from airflow_provider_salesblink.client.shared_store import RECOGNIZE_RUN
from airflow_provider_salesblink.loading.reservations import HELD_FOR, Holder

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from redis import Redis

_ACQUIRE = (
    RECOGNIZE_RUN
    + """
local memory = table.remove(KEYS)
local taken = {}
for place, name in ipairs(KEYS) do
    local is_new = redis.call('SET', name, ARGV[1], 'NX', 'PX', ARGV[2])
    local own = is_new or redis.call('GET', name) == ARGV[1]
    if own and not is_new then redis.call('PEXPIRE', name, ARGV[2]) end
    taken[place] = own and 1 or 0
end

local run, since = recognize_run(memory, ARGV[3])
redis.call('PEXPIRE', memory, 2 * ARGV[2])
return {run, now - since, unpack(taken)}
"""
)
"""Reserves people for an owner, or renews the owner's reservations. Returns the server's run, the milliseconds for
which the server has lost nothing, and then 1 for each person that the owner holds, else 0.
"""

_TAKE_OVER = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('SET', KEYS[3], '', 'PX', ARGV[3])
return 1
"""

_RENEW = """
redis.call('SET', table.remove(KEYS), '', 'PX', ARGV[2])
local held = 0
for _, name in ipairs(KEYS) do
    if redis.call('GET', name) == ARGV[1] then held = held + redis.call('PEXPIRE', name, ARGV[2]) end
end
return held
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
        self._activity_key = self._activity_key_of(owner)
        self._memory_key = f"salesblink:memory:{scope}"
        self._run = b""
        self._complete_since = math.inf
        self._acquire = redis.register_script(_ACQUIRE)
        self._renew = redis.register_script(_RENEW)
        self._take_over = redis.register_script(_TAKE_OVER)
        self._release = redis.register_script(_RELEASE)

    def acquire(self, people: Sequence[bytes]) -> set[bytes]:
        """Reserve people for this load; return those of ``people`` that it holds now."""
        self._redis.set(self._activity_key, "", px=self._held_for)
        keys = [*self._keys(people), self._memory_key]
        self._run, complete_for, *answers = self._acquire(keys=keys, args=[self._owner, self._held_for, self._run])
        self._complete_since = time.monotonic() - complete_for / 1000
        return {who for who, taken in zip(people, answers, strict=True) if taken}

    def renew(self, people: Sequence[bytes]) -> bool:
        """Restart the life of reservations and mark the load as active; return whether this load holds them all."""
        keys = [*self._keys(people), self._activity_key]
        return int(self._renew(keys=keys, args=[self._owner, self._held_for])) == len(people)

    def held(self, people: Sequence[bytes]) -> set[bytes]:
        """Return those of ``people`` that this load, or an earlier run of it, has reserved."""
        owners = cast("list[bytes | None]", self._redis.mget(self._keys(people))) if people else []
        return {who for who, owner in zip(people, owners, strict=True) if owner == self._owner}

    def complete_since(self) -> float:
        """Return the monotonic time since which the server has lost no reservation."""
        return self._complete_since

    def idle_owner(self, who: bytes) -> str | None:
        """Return the owner of a person's reservation if it is idle; None if it is active or there is none."""
        (key,) = self._keys([who])
        held = cast("bytes | None", self._redis.get(key))
        owner = held.decode() if held is not None else None
        return None if owner is None or self._redis.exists(self._activity_key_of(owner)) else owner

    def holders(self, people: Collection[bytes]) -> dict[bytes, Holder]:
        """Return the holder of each of ``people`` that another load holds."""
        asked = list(people)
        held = cast("list[bytes | None]", self._redis.mget(self._keys(asked))) if asked else []
        owners = {who: owner for who, owner in zip(asked, held, strict=True) if owner and owner != self._owner}
        active = {owner for owner in set(owners.values()) if self._redis.exists(self._activity_key_of(owner.decode()))}
        return {who: Holder(owner.decode(), owner in active) for who, owner in owners.items()}

    def take_over(self, who: bytes, idle_owner: str) -> bool:
        """Reserve a person in place of an owner that is still idle; return whether it worked."""
        keys = [*self._keys([who]), self._activity_key_of(idle_owner), self._activity_key]
        return bool(self._take_over(keys=keys, args=[idle_owner, self._owner, self._held_for]))

    def _activity_key_of(self, owner: str) -> str:
        return f"salesblink:at-work:{self._scope}:{owner}"

    def release(self, people: Sequence[bytes]) -> None:
        """Give up reservations of people who were certainly not added."""
        self._release(keys=self._keys(people), args=[self._owner])

    def _keys(self, people: Sequence[bytes]) -> list[str]:
        return [f"salesblink:reserved:{self._scope}:{who.hex()}" for who in people]

    def idle_for(self) -> float:
        """Return the seconds since an unfinished earlier run of this load was active; infinite if there is none."""
        left = self._redis.pttl(self._activity_key)
        return max(0, self._held_for - left) / 1000 if left >= 0 else math.inf

    def finish(self) -> None:
        """Mark the load as idle: none of its requests is under way."""
        self._redis.delete(self._activity_key)
