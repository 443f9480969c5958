"""The base classes of all SalesBlink operators, and helpers for their arguments and XCom results."""

from __future__ import annotations

import logging
from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowNotFoundException,
    BaseOperator,
)

from airflow_provider_salesblink.argument_types import check_seconds, json_argument, normalize_arguments
from airflow_provider_salesblink.assets import SCHEME
from airflow_provider_salesblink.connection_form import DEFAULT_CONN_ID, InvalidConnectionError
from airflow_provider_salesblink.executor_check import why_adds_are_refused
from airflow_provider_salesblink.task_mixins import (
    USUAL_WAIT,
    PersonEmailMixin,
    SalesBlinkTaskMixin,
    permanent_error_message,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_salesblink.client import Prospect, RateLimitedError, SalesBlinkClient

log = logging.getLogger(__name__)

__all__ = [
    "PersonOperator",
    "SalesBlinkOperator",
    "exactly_one",
    "json_argument",
    "one_of",
    "outcome",
    "redacted_names",
    "summary",
]


class SalesBlinkOperator(SalesBlinkTaskMixin, BaseOperator):
    """A task that calls SalesBlink.

    A permanent error (wrong key, unknown id, bad argument) fails the task at once. A temporary error uses the task's
    retries. When SalesBlink still answers 429 after the client's last attempt, the task is deferred until the time
    that SalesBlink names; it then holds no worker slot and uses no retry.

    ``outlets`` may hold the assets of campaigns (:mod:`airflow_provider_salesblink.assets`). The ``extra`` of their
    events is what the task leaves in XCom. A dry run creates no event for them.

    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: the most seconds that the task may be deferred after 429s, all deferrals together.
    """

    ui_color = "#e8f0fe"

    def __init__(self, *, salesblink_conn_id: str = DEFAULT_CONN_ID, max_wait: float = 3600, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_seconds("max_wait", max_wait)
        self.salesblink_conn_id = salesblink_conn_id
        self.max_wait = max_wait
        self.owner_name: str | None = None

    @abstractmethod
    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Do the task's work and return what goes to XCom: ids, counts and an outcome, never addresses."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the task."""
        self.begin_run()
        self.prepare(context)
        return self._report(context, self._call_or_defer(waited=0.0))

    def resume(self, context: Context, event: Any = None, waited: float = 0.0, **saved: Any) -> dict[str, Any]:  # noqa: ANN401, ARG002
        """Run the task again after a deferral.

        :param waited: seconds that the task was deferred so far.
        :param saved: what :meth:`state_to_save` returned.
        """
        self.prepare(context)
        self.restore_state(saved)
        return self._report(context, self._call_or_defer(waited=waited))

    def prepare(self, context: Context) -> None:
        """Convert the arguments to their types, and read the task's name from the context."""
        normalize_arguments(self)
        self.owner_name = _reservation_owner(context)

    def _call_or_defer(self, waited: float) -> dict[str, Any]:
        from airflow_provider_salesblink.client import RateLimitedError, SalesBlinkError

        try:
            return self.call_salesblink(self.hook.get_conn())
        except RateLimitedError as error:
            limited = error
        except (SalesBlinkError, InvalidConnectionError, AirflowNotFoundException) as error:
            message = permanent_error_message(error, self.salesblink_conn_id)
            if message is None and not self.may_run_again(error):
                message = str(error)
            if message is not None:
                raise AirflowFailException(message) from error
            raise
        return self._defer_until_allowed(limited, waited)

    def _defer_until_allowed(self, limited: RateLimitedError, waited: float) -> dict[str, Any]:
        from airflow.providers.common.compat.standard.triggers import TimeDeltaTrigger

        from airflow_provider_salesblink.client import BudgetSpentError

        # A server that still refuses after all attempts does not mean "0 seconds"; deferring for that would never end.
        wait = limited.retry_after if limited.retry_after and limited.retry_after >= 1 else USUAL_WAIT
        if isinstance(limited, BudgetSpentError):
            # The client's own rate limit, which always frees up: only SalesBlink's 429s count toward max_wait.
            waited -= wait
        elif waited + wait > self.max_wait:
            self.log.error(
                "Waited %.0f s; SalesBlink asks for %.0f s more, and max_wait is %.0f s: raise it to wait longer.",
                waited,
                wait,
                self.max_wait,
            )
            raise limited
        self.log.info("%s The task is deferred for %.0f s.", limited, wait)
        self.defer(
            trigger=TimeDeltaTrigger(timedelta(seconds=wait)),
            method_name="resume",
            kwargs={"waited": waited + wait, **self.state_to_save(limited)},
        )
        raise AssertionError("defer() does not return")

    def _report(self, context: Context, result: dict[str, Any]) -> dict[str, Any]:
        self.log.info("Outcome: %s.", summary(result))
        self.outlets = _publish_to_outlets(self.outlets, result, context.get("outlet_events"))
        return result

    # What a subclass may override or call.

    def begin_run(self) -> None:
        """Do what comes before everything else in a run, and what no part after a deferral may repeat."""

    def state_to_save(self, limited: RateLimitedError) -> dict[str, Any]:  # noqa: ARG002
        """Return what :meth:`resume` needs to know after the deferral, as values that JSON has."""
        return {}

    def restore_state(self, saved: dict[str, Any]) -> None:
        """Take over what :meth:`state_to_save` returned before the task was deferred."""

    def may_run_again(self, error: Exception) -> bool:  # noqa: ARG002
        """Return whether the task may be retried after a temporary ``error`` without doing harm."""
        return True

    def check_reservations_are_shared(self, client: SalesBlinkClient) -> None:
        """Raise if workers on other machines could not see which people this task is adding.

        :raises AirflowFailException: an executor is not local and the connection has no ``pacing_url``.
        """
        reason = why_adds_are_refused(self.salesblink_conn_id, getattr(self, "executor", None))
        if reason and not client.has_pacing_url and not client.dry_run:
            raise AirflowFailException(reason)


class PersonOperator(PersonEmailMixin, SalesBlinkOperator):  # type: ignore[misc]  # email means something else there
    """A task about the person with a given address.

    :param email: the person's address.
    """

    def require_email(self) -> str:
        """Return the address.

        :raises InvalidInputError: ``email`` is None.
        """
        from airflow_provider_salesblink.client import InvalidInputError

        if self.email is None:
            raise InvalidInputError(f"email is None; its template may have found nothing.{self.missing_email_hint}")
        return self.email

    def search_prospects(self, client: SalesBlinkClient) -> list[Prospect]:
        """Return the prospects with the address; the list may be empty.

        :raises InvalidInputError: ``email`` is None.
        """
        return client.prospects.search(self.require_email())

    def require_prospects(self, client: SalesBlinkClient) -> list[Prospect]:
        """Return every prospect with the address, at least one.

        :raises InvalidInputError: ``email`` is None.
        :raises NotFoundError: no prospect has the address.
        """
        from airflow_provider_salesblink.client import NotFoundError

        found = self.search_prospects(client)
        if not found:
            raise NotFoundError("No prospect has this address. Check it, and that the key's user may see the campaign.")
        return found


def _reservation_owner(context: Context) -> str | None:
    """Return a name that a retry of the task has too, so that it recognizes its reservations; None outside a run."""
    task = context.get("ti")
    return f"{task.dag_id}/{task.run_id}/{task.task_id}/{task.map_index}" if task else None


# Checks of arguments.


def exactly_one(*, hint: str = "", **given: object) -> None:
    """Raise unless exactly one of the arguments has a value.

    Call it when the task runs: before that, arguments are still templates, or missing (mapped tasks).

    :param hint: a sentence to append to the error.
    :raises AirflowFailException: none or several have a value.
    """
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        which = " and ".join(named) or "none"
        if len(given) == 2:
            which = "both" if named else "neither"
        raise AirflowFailException(
            f"Pass exactly one of {', '.join(list(given)[:-1])} or {list(given)[-1]}; got {which}.{hint}"
        )


def one_of(argument: str, value: object, words: tuple[str, ...]) -> None:
    """Raise unless ``value`` is one of the words that ``argument`` takes.

    Call it when the DAG is parsed: such an argument has no template.

    :raises ValueError: the value is not among the words.
    """
    if value not in words:
        raise ValueError(f"{argument} is {value!r}; it takes {', '.join(map(repr, words))}.")


# What a task leaves in XCom, and what its log shows of it.


def outcome(word: str, *, dry_run: bool = False, **found: Any) -> dict[str, Any]:
    """Return what a task leaves in XCom: its outcome, and the ids and counts in ``found``."""
    if dry_run:
        return {"outcome": "dry_run", "would_be": word, **found}
    return {"outcome": word, **found}


def summary(result: Mapping[str, Any]) -> str:
    """Return a task's XCom result as one line for its log: lists as their lengths, addresses redacted."""
    from airflow_provider_salesblink.client.redaction import redacted

    found = {name: len(value) if isinstance(value, list) else value for name, value in result.items()}
    word = str(found.pop("outcome"))
    return redacted(", ".join([word, *(f"{name} {value}" for name, value in found.items())]))


def redacted_names(names: Iterable[str]) -> list[str]:
    """Return names of columns with the addresses in them redacted: a column may be named after a person."""
    from airflow_provider_salesblink.client.redaction import redacted

    return [redacted(name) for name in names]


# Outlets: the events of campaigns' assets carry the task's result.


def _publish_to_outlets(outlets: Sequence[Any], result: dict[str, Any], events: Any) -> list[Any]:  # noqa: ANN401
    """Put ``result`` into the events of the outlets that are SalesBlink's: assets, references to them, aliases.

    :param events: the context's ``outlet_events``; None outside a run.
    :return: the outlets to keep. After a dry run, those that are SalesBlink's are left out: nothing happened to them.
    """
    if events is None:
        return list(outlets)
    ours = [_is_salesblink_uri(_outlet_uri(outlet, events)) for outlet in outlets]
    alias_events = [each for outlet in outlets for each in _alias_events(outlet, events)]
    if result.get("outcome") == "dry_run":
        for added, event in alias_events:
            added.remove(event)
        return [outlet for outlet, is_ours in zip(outlets, ours, strict=True) if not is_ours]
    for outlet, is_ours in zip(outlets, ours, strict=True):
        if is_ours:
            events[outlet].extra.update(result)
    for _, event in alias_events:
        _extra_of(event).update(result)
    return list(outlets)


def _outlet_uri(outlet: Any, events: Any) -> str:  # noqa: ANN401
    if hasattr(outlet, "uri") or not _is_reference(outlet):
        return str(getattr(outlet, "uri", ""))
    try:
        # Only Airflow knows which asset has the name.
        return str(events[outlet].key.uri)
    except Exception as error:  # noqa: BLE001
        # SalesBlink has the people by now: do not retry the whole task for an event.
        log.warning("The outlet %r could not be looked up (%s).", outlet, type(error).__name__)
        return ""


def _is_reference(outlet: object) -> bool:
    # Airflow 3 only: Asset.ref(name=...), Asset.ref(uri=...).
    return type(outlet).__name__ in ("AssetNameRef", "AssetUriRef")


def _alias_events(outlet: Any, events: Any) -> list[tuple[list[Any], Any]]:  # noqa: ANN401
    """Return the events of SalesBlink's assets that were added to an alias, each with the list that holds it."""
    if type(outlet).__name__ not in ("AssetAlias", "DatasetAlias"):
        return []
    accessor = events[outlet]
    added = getattr(accessor, "asset_alias_events", None) or getattr(accessor, "dataset_alias_events", [])
    return [(added, event) for event in added if _is_salesblink_uri(_target_uri(event))]


def _target_uri(event: Any) -> str:  # noqa: ANN401
    # A dict in Airflow 2.
    return str(event["dest_dataset_uri"] if isinstance(event, dict) else event.dest_asset_key.uri)


def _extra_of(event: Any) -> dict[str, Any]:  # noqa: ANN401
    extra: dict[str, Any] = event["extra"] if isinstance(event, dict) else event.extra
    return extra


def _is_salesblink_uri(uri: str) -> bool:
    return uri.startswith(f"{SCHEME}://")
