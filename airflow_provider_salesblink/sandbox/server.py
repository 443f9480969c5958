"""The sandbox as a Python object: access to its server, data and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from airflow_provider_salesblink.sandbox.activity import Habit, parse_life
from airflow_provider_salesblink.sandbox.app import app
from airflow_provider_salesblink.sandbox.database import IN_MEMORY
from airflow_provider_salesblink.sandbox.event_history import History, fill_events, parse_histories
from airflow_provider_salesblink.sandbox.fault_middleware import FaultMiddleware
from airflow_provider_salesblink.sandbox.faults import Fault, parse_faults
from airflow_provider_salesblink.sandbox.http_server import HOST, HttpServer
from airflow_provider_salesblink.sandbox.lead_columns import classic_name
from airflow_provider_salesblink.sandbox.limits import Limits, RateLimiter
from airflow_provider_salesblink.sandbox.options import SandboxUsageError
from airflow_provider_salesblink.sandbox.seeds import load_seed, read_seed
from airflow_provider_salesblink.sandbox.shapes import Shapes
from airflow_provider_salesblink.sandbox.state import APIS, State
from airflow_provider_salesblink.sandbox.store import Store
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from airflow_provider_salesblink.sandbox.activity_events import Happening
    from airflow_provider_salesblink.sandbox.blocklist_store import User
    from airflow_provider_salesblink.sandbox.event_store import Event
    from airflow_provider_salesblink.sandbox.records import CampaignState, ListState, Person, Start
    from airflow_provider_salesblink.sandbox.request_log import Request
    from airflow_provider_salesblink.sandbox.sequence_store import Condition


class Sandbox:
    """A local SalesBlink that runs for the duration of a ``with`` block.

    :param port: port on 127.0.0.1; 0 = a free port.
    :param db: SQLite file for all data; in memory by default.
    :param seed: ``demo``, a JSON file or its content. Ignored if ``db`` already holds campaigns.
    :param key: API key; a random one by default.
    :param faults: faults to inject from the start, as :class:`Fault` objects or in their text form.
    :param limits: rate limits; none by default.
    :param shapes: the shapes of the classic API's responses.
    :param v1: how the v1 API behaves where nobody has documented it.
    :param serves: the APIs to serve; both by default. A request to another one gets a 404 page.
    :param life: events that happen without requests, as :class:`Habit` objects or in their text form; none by default.
    :param random_seed: seed for random faults and events, so that a test is repeatable.
    :param keep_requests: number of latest requests to keep in ``requests``.
    :raises SandboxUsageError: an argument is invalid, or the file, seed or port cannot be used.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        db: str | Path = IN_MEMORY,
        seed: str | Path | Mapping[str, Any] | None = None,
        key: str | None = None,
        faults: str | Iterable[Fault] = "",
        limits: Limits | None = None,
        shapes: Shapes | None = None,
        v1: V1Rules | None = None,
        serves: Iterable[str] = APIS,
        life: str | Iterable[Habit] = "",
        random_seed: int = 0,
        keep_requests: int = 100_000,
    ) -> None:
        self._port = port
        self._store = Store(db)
        try:
            self._state = State(self._store, key=key, random_seed=random_seed, keep_requests=keep_requests)
            self._state.faults.add(parse_faults(faults) if isinstance(faults, str) else faults)
            self.limits = limits or Limits()
            self.shapes = shapes or Shapes()
            self.v1 = v1 or V1Rules()
            self.serves = frozenset(serves)
            if seed is not None:
                load_seed(self._store, read_seed(seed))
            self.life = life
        except BaseException:
            self._store.close()
            raise
        self._server = HttpServer(FaultMiddleware(app, self._state))

    def __enter__(self) -> Self:
        try:
            self._port = self._server.start(self._port)
        except BaseException:
            self._store.close()
            raise
        self._state.scheduler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state.scheduler.stop()
        self._server.stop()
        self._state.imports.finish()
        self._store.close()

    # Connection

    @property
    def url(self) -> str:
        """Return the root URL, without a trailing slash."""
        return f"http://{HOST}:{self._port}"

    @property
    def key(self) -> str:
        """Return the key of an administrator."""
        return self._state.key

    @property
    def member_key(self) -> str:
        """Return the key of a member who is not an administrator. It gets 403 on ``GET /my-team``."""
        return self._state.member_key

    # Data

    def add_campaign(
        self,
        name: str,
        *,
        paused: bool = False,
        id: str | None = None,  # noqa: A002
        lists: Iterable[str] | None = None,
    ) -> str:
        """Add a campaign (on v1: a sequence) without an API request, and return its id.

        :param lists: ids of the lists that it uses; a new list of its own by default.
        """
        return self._store.add_campaign(name, paused=paused, id=id, lists=lists).id

    def add_list(self, name: str, *, id: str | None = None) -> str:  # noqa: A002
        """Add a list without an API request, and return its id."""
        return self._store.lists.add(name, id=id).id

    def add_lead(
        self,
        list_id: str,
        fields: Mapping[str, Any],
        *,
        id: str | None = None,  # noqa: A002
        unsubscribed: bool = False,
        archived: bool = False,
    ) -> str:
        """Add a lead to a list without an API request, and return its id. It starts in the list's running sequences."""
        if self._store.lists.get(list_id) is None:
            message = f"There is no list with the id '{list_id}'. Add it with add_list() first"
            raise SandboxUsageError(message)
        columns = {classic_name(name): value for name, value in fields.items()}
        return self._store.add_lead(list_id, columns, id=id, unsubscribed=unsubscribed, archived=archived)

    def add_person(self, campaign_id: str, fields: Mapping[str, Any], *, unsubscribed: bool = False) -> str:
        """Add a prospect without an API request, and return its id."""
        if self._store.campaign(campaign_id) is None:
            message = f"There is no campaign with the id '{campaign_id}'. Add it with add_campaign() first"
            raise SandboxUsageError(message)
        return self._store.add_person(campaign_id, fields, unsubscribed=unsubscribed).id

    def people(self, campaign_id: str | None = None) -> list[Person]:
        """Return the people of one campaign or of all campaigns, in the order they were added."""
        self._state.imports.catch_up()
        return self._store.people(campaign_id)

    def leads(self, list_id: str) -> list[Person]:
        """Return the leads of a list, in the order they were added."""
        self._state.imports.catch_up()
        return self._store.leads.on_list(list_id)

    def lists(self, campaign_id: str | None = None) -> list[ListState]:
        """Return all lists or those of one campaign, in the order they were added or attached."""
        found = {each.id: each.state for each in self._store.lists.all()}
        if campaign_id is None:
            return list(found.values())
        return [found[list_id] for list_id in self._store.lists.of_campaign(campaign_id) if list_id in found]

    @property
    def started(self) -> list[Start]:
        """Return the mails that would have started, oldest first."""
        self._state.imports.catch_up()
        return self._store.ledger.starts()

    def campaigns(self) -> list[CampaignState]:
        """Return all campaigns, in the order they were added."""
        return self._store.campaigns()

    @property
    def requests(self) -> list[Request]:
        """Return the received requests, oldest first, without those of the sandbox's own pages."""
        return self._state.request_log.entries()

    @property
    def happened(self) -> list[Happening]:
        """Return the last 10,000 events, scheduled or triggered by ``happen``, oldest first."""
        return self._state.events.entries()

    def reset(self) -> None:
        """Remove all data, requests, faults, limits and activity, and restore the default behavior. The keys stay."""
        self._state.reset()

    # Behavior

    def fault(self, operation: str, kind: str, **options: Any) -> None:  # Fault's, each its own type
        """Add a fault. ``options`` are those of :class:`Fault`."""
        self._state.faults.add([Fault(operation, kind, **options)])

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._state.faults.clear()

    def finish_imports(self) -> None:
        """Put everybody whose import was accepted on their lists now, and remove the duplicates."""
        self._state.imports.finish()

    def happen(self, happening: str, *, to: str | None = None) -> Happening | None:
        """Trigger one event now, for a random prospect or campaign or for the one with the id ``to``.

        Return the event, or None if there is nothing that it can apply to.

        :param happening: the event, for example ``unsubscribe``.
        :raises SandboxUsageError: the event is unknown, or does not apply to ``to``.
        """
        return self._state.events.generate(happening, to)

    @property
    def life(self) -> tuple[Habit, ...]:
        """Return the scheduled events. Setting it restarts the schedule; ``""`` stops it. ``history`` adds a past."""
        return self._state.scheduler.habits

    @life.setter
    def life(self, life: str | Iterable[Habit]) -> None:
        habits = parse_life(life) if isinstance(life, str) else life
        for history in parse_histories(life) if isinstance(life, str) else ():
            fill_events(self._store, history, self._state.random_seed)
        self._state.scheduler.schedule(habits)

    @property
    def shapes(self) -> Shapes:
        """Return the shapes of responses. Can be set while the sandbox runs."""
        return self._state.shapes

    @shapes.setter
    def shapes(self, shapes: Shapes) -> None:
        self._state.shapes = shapes

    @property
    def v1(self) -> V1Rules:
        """Return how the v1 API behaves. Can be set while the sandbox runs."""
        return self._store.rules

    @v1.setter
    def v1(self, rules: V1Rules) -> None:
        self._state.set_rules(rules)

    @property
    def serves(self) -> frozenset[str]:
        """Return the APIs that are served: ``classic``, ``v1``. Can be set while the sandbox runs."""
        return self._state.serves

    @serves.setter
    def serves(self, apis: Iterable[str]) -> None:
        self._state.serve(apis)

    def set_condition(self, sequence_id: str, condition: Condition) -> None:
        """Make a running sequence show that it is ``completed`` or ``needs-attention``; ``""`` ends that."""
        self._store.sequences.set_condition(sequence_id, condition)

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock forward, so that imports finish and late events arrive without waiting."""
        self._store.clock.advance(seconds)
        self._state.imports.catch_up()

    @property
    def limits(self) -> Limits:
        """Return the rate limits. Setting them starts a new window."""
        return self._state.rate_limiter.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._state.rate_limiter = RateLimiter(limits)

    # What happens to people on the v1 API

    def block(self, *entries: str, by: User = "administrator") -> None:
        """Add addresses and domains to the blocklist of a user."""
        self._store.blocklist.add(entries, by=by)

    def blocked(self, *, by: User = "administrator") -> list[str]:
        """Return the blocklist of a user as the API shows it, in the order the entries were added."""
        return [entry.entry for entry in self._store.blocklist.entries(by=by)]

    @property
    def events(self) -> list[Event]:
        """Return all events of people, oldest first, those that have not arrived yet included."""
        return self._store.events.find(pending=True)

    def fill_events(self, history: History, *, random_seed: int = 0) -> None:
        """Add a past to the people in the sandbox, without API requests. ``events`` returns it.

        :param random_seed: another one gives other events. The same one again adds nothing.
        :raises SandboxUsageError: nobody in the sandbox has an address.
        """
        fill_events(self._store, history, random_seed)

    def add_event(self, message: str, *, lead_id: str | None = None, **details: Any) -> Event:  # each its own type
        """Add an event of a person, without an API request.

        :param message: what happened, for example ``Sent`` or ``Bounced``.
        :param details: the other arguments of :meth:`EventStore.record`. ``email`` is the lead's by default.
        """
        lead = None if lead_id is None else self._store.person(lead_id)
        known = {"email": lead.email} if lead else {}
        return self._store.events.record(message=message, lead_id=lead_id, **known | details)
