"""The client that all in an event loop share: made once, closed behind the last, kept by nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.waiting.conditions import CampaignIs, Met
from airflow_provider_salesblink.waiting.shared_client import SharedClient, _clients
from tests.apis import BOTH
from tests.waiting.conftest import DEADLINE, Connection, no_clients, poll_threads, run, until, waiting

if TYPE_CHECKING:
    from airflow_provider_salesblink.waiting.connection_reload import ConnectionDetails
    from tests.conftest import CampaignUnderTest
    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)


class Making:
    """How the connection is read: slowly, and not always well."""

    def __init__(self, connection: Connection, *, failures: int = 0) -> None:
        self.calls = 0
        self.may_end = asyncio.Event()
        self._sound = connection.read
        self._failures = failures
        connection.read = self  # type: ignore[assignment, method-assign]

    async def __call__(self) -> ConnectionDetails:
        self.calls += 1
        await self.may_end.wait()
        if self.calls <= self._failures:
            raise LookupError
        return await self._sound()


async def use(connection: Connection, name: str = "crm") -> SharedClient:
    async with connection.shared_client(name) as shared:
        await asyncio.sleep(0.01)
        return shared


def test_fifty_who_come_while_the_client_is_made_get_the_same(connection: Connection) -> None:
    async def story() -> None:
        making = Making(connection)
        users = [asyncio.create_task(use(connection)) for _ in range(50)]
        await asyncio.sleep(0.05)
        making.may_end.set()
        assert len(set(await asyncio.gather(*users))) == 1
        assert making.calls == 1
        assert no_clients()

    run(story())


def test_where_the_client_cannot_be_made_the_next_tries_again(connection: Connection) -> None:
    async def story() -> None:
        making = Making(connection, failures=1)
        users = [asyncio.create_task(use(connection)) for _ in range(3)]
        await asyncio.sleep(0.05)
        later = asyncio.create_task(use(connection))
        await asyncio.sleep(0)
        making.may_end.set()
        results = await asyncio.gather(*users, later, return_exceptions=True)
        assert [type(result) for result in results] == [LookupError] * 3 + [SharedClient]
        assert making.calls == 2
        assert no_clients()

    run(story())


def test_a_client_that_can_never_be_made_leaves_nothing(connection: Connection) -> None:
    async def story() -> None:
        Making(connection, failures=99).may_end.set()
        for _ in range(3):
            with pytest.raises(LookupError):
                await use(connection)
        assert no_clients()
        await until(lambda: not poll_threads())

    run(story())


@pytest.mark.parametrize("others", [0, 3])
def test_who_gives_up_while_the_client_is_made_spoils_it_for_nobody(others: int, connection: Connection) -> None:
    async def story() -> None:
        making = Making(connection)
        first = asyncio.create_task(use(connection))
        users = [asyncio.create_task(use(connection)) for _ in range(others)]
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.wait([first])
        assert no_clients() is (others == 0)
        making.may_end.set()
        users.append(asyncio.create_task(use(connection)))
        assert all(isinstance(shared, SharedClient) for shared in await asyncio.gather(*users))
        assert no_clients()

    run(story())


def test_who_comes_after_the_last_has_left_gets_another_line(connection: Connection) -> None:
    async def story() -> None:
        first, second = await use(connection), await use(connection)
        assert first is not second

    run(story())
    assert len(connection.made) == 2


def test_who_comes_as_the_last_leaves_gets_a_line_that_works(
    connection: Connection, campaign: CampaignUnderTest
) -> None:
    async def wait() -> Any:
        async with connection.shared_client() as shared:
            return await waiting(shared, CampaignIs("running", campaign.id))

    async def story() -> None:
        for steps in range(12):
            first = asyncio.create_task(use(connection))
            await first
            last = asyncio.create_task(wait())
            for _ in range(steps):
                await asyncio.sleep(0)
            last.cancel()
            assert isinstance(await wait(), Met)
        assert no_clients()

    run(story())


def test_connections_do_not_share(connection: Connection) -> None:
    async def story() -> None:
        one, other = await asyncio.gather(use(connection, "one"), use(connection, "other"))
        assert one is not other

    run(story())
    assert len(connection.made) == 2


def test_the_client_is_closed_behind_the_last(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    async def story() -> None:
        async with connection.shared_client() as shared:
            (client,) = connection.made
            monkeypatch.setattr(client, "close", lambda: closed.append(threading.current_thread().name))
            assert await use(connection) is shared
            assert not closed
        await until(lambda: closed)

    run(story())
    assert closed[0].startswith("salesblink-poll"), "not in the event loop, which others need"


def test_a_look_under_way_ends_without_anybody(
    polls: Polls, connection: Connection, campaign: CampaignUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    polls.fault("campaigns", "slow", seconds=0.5)

    async def story() -> None:
        async with connection.shared_client() as shared:
            waiter = waiting(shared, CampaignIs("paused", campaign.id))
            await until(lambda: connection.looks)
            waiter.cancel()
            await asyncio.wait([waiter])
        await until(lambda: not poll_threads())

    run(story())
    assert not caplog.records


# Loops


def test_two_loops_in_two_threads_do_not_share(connection: Connection, campaign: CampaignUnderTest) -> None:
    clients, both = [], threading.Barrier(2)

    async def story() -> None:
        async with connection.shared_client() as shared:
            await asyncio.to_thread(both.wait, 5)
            clients.append(shared)
            assert isinstance(await waiting(shared, CampaignIs("running", campaign.id)), Met)
            await asyncio.to_thread(both.wait, 5)

    threads = [threading.Thread(target=run, args=(story(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(set(clients)) == 2
    assert len(connection.made) == 2
    assert len(connection.looks) == 2


@pytest.mark.parametrize("end", ["all left", "cut off"])
def test_nothing_of_a_loop_is_kept_when_it_has_ended(
    end: str, connection: Connection, campaign: CampaignUnderTest
) -> None:
    async def stay() -> None:
        async with connection.shared_client() as shared:
            await waiting(shared, CampaignIs("paused", campaign.id))

    async def story() -> list[weakref.ref[Any]]:
        waiter = asyncio.create_task(stay())
        await until(lambda: connection.looks)
        loop = asyncio.get_running_loop()
        (shared,) = _clients[loop].values()
        if end == "all left":
            waiter.cancel()
            await asyncio.wait([waiter])
        return [weakref.ref(loop), weakref.ref(shared)]

    references = run(story())
    # A request that was under way ends by itself.
    for thread in poll_threads():
        thread.join(DEADLINE)
    gc.collect()
    assert [reference() for reference in references] == [None, None]
