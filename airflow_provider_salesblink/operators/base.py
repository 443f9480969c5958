"""What all SalesBlink operators share: the connection, which errors end a task, and waiting without a worker."""

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

from airflow_provider_salesblink.arguments import json_argument, normalize_arguments
from airflow_provider_salesblink.assets import SCHEME
from airflow_provider_salesblink.connection_form import DEFAULT_CONN_ID, InvalidConnectionError
from airflow_provider_salesblink.executors import refusal_of_adds
from airflow_provider_salesblink.task_mixins import USUAL_WAIT, Addressed, SalesBlinkTask, permanent_error_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_salesblink.client import Prospect, RateLimitedError, SalesBlinkClient

log = logging.getLogger(__name__)

__all__ = [
    "AddressedOperator",
    "SalesBlinkOperator",
    "exactly_one",
    "json_argument",
    "one_of",
    "outcome",
    "shown",
    "summary",
]


class SalesBlinkOperator(SalesBlinkTask, BaseOperator):
    """A task that calls SalesBlink.

    An error that would come again (wrong key, unknown id, bad argument) fails the task at once; a passing one uses
    the task's retries. A 429 that outlasts the client's own attempts defers the task until the time the server names:
    no worker slot is held and no retry is used.

    ``outlets`` may hold the assets of campaigns (:mod:`airflow_provider_salesblink.assets`): their events carry what
    goes to XCom as their ``extra``. A dry run gives them no event.

    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param max_wait: most seconds that the task lets itself be deferred, all times together.
    """

    ui_color = "#e8f0fe"

    def __init__(self, *, salesblink_conn_id: str = DEFAULT_CONN_ID, max_wait: float = 3600, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.salesblink_conn_id = salesblink_conn_id
        self.max_wait = max_wait
        self.owner_name: str | None = None

    @abstractmethod
    def act(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Do the task's one thing; what is returned goes to XCom: ids, counts and an outcome, never addresses."""

    def begin(self, context: Context) -> None:
        """Take from the context what the task needs of it, and bring the arguments into their types."""
        normalize_arguments(self)
        self.owner_name = _name_of(context)

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the task."""
        self.begin(context)
        return self._tell(context, self._act(waited=0.0))

    def resume(self, context: Context, event: Any = None, waited: float = 0.0, **carried: Any) -> dict[str, Any]:  # noqa: ANN401, ARG002
        """Run the task again after it was deferred for ``waited`` seconds in all, with what :meth:`carried` gave."""
        self.begin(context)
        self.take_up(carried)
        return self._tell(context, self._act(waited=waited))

    def _tell(self, context: Context, result: dict[str, Any]) -> dict[str, Any]:
        self.log.info("Outcome: %s.", summary(result))
        self.outlets = _with_events(self.outlets, result, context.get("outlet_events"))
        return result

    def _act(self, waited: float) -> dict[str, Any]:
        from airflow_provider_salesblink.client import RateLimitedError, SalesBlinkError

        try:
            return self.act(self.hook.get_conn())
        except RateLimitedError as error:
            limited = error
        except (SalesBlinkError, InvalidConnectionError, AirflowNotFoundException) as error:
            sentence = permanent_error_message(error, self.salesblink_conn_id)
            if sentence is None and not self.may_run_again(error):
                sentence = str(error)
            if sentence is not None:
                raise AirflowFailException(sentence) from error
            raise
        return self._deferred(limited, waited)

    def check_reservations_are_shared(self, client: SalesBlinkClient) -> None:
        """Refuse to add people where workers of other machines cannot see who is being added.

        :raises AirflowFailException: an executor is not local and the connection has no ``pacing_url``.
        """
        refusal = refusal_of_adds(self.salesblink_conn_id, getattr(self, "executor", None))
        if refusal and not client.has_pacing_url and not client.dry_run:
            raise AirflowFailException(refusal)

    def may_run_again(self, error: Exception) -> bool:  # noqa: ARG002
        """Whether a retry of the task after a passing ``error`` does no harm."""
        return True

    def carried(self, limited: RateLimitedError) -> dict[str, Any]:  # noqa: ARG002
        """What the task should know when it is resumed."""
        return {}

    def take_up(self, carried: dict[str, Any]) -> None:
        """Go on from what :meth:`carried` gave before the task was deferred."""

    def _deferred(self, limited: RateLimitedError, waited: float) -> dict[str, Any]:
        from airflow.providers.common.compat.standard.triggers import TimeDeltaTrigger

        from airflow_provider_salesblink.client import BudgetSpentError

        # No wait at all is not what a server means that still refuses after all attempts; and it would never end.
        wait = limited.retry_after if limited.retry_after and limited.retry_after >= 1 else USUAL_WAIT
        if isinstance(limited, BudgetSpentError):
            # Our own doing, and it ends; only the server's word is a reason to give up.
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
            kwargs={"waited": waited + wait, **self.carried(limited)},
        )
        raise AssertionError("defer() does not return")


class AddressedOperator(Addressed, SalesBlinkOperator):  # type: ignore[misc]  # its email is another thing
    """A task that acts on the person with an address.

    :param email: the person's address.
    """

    def searched(self, client: SalesBlinkClient) -> list[Prospect]:
        """Return the prospects with the address, perhaps none.

        :raises InvalidInputError: no address came.
        """
        from airflow_provider_salesblink.client import InvalidInputError

        if self.email is None:
            raise InvalidInputError(f"There is no email; a template may have found nothing.{self.hint}")
        return client.prospects.search(self.email)

    def of_address(self, client: SalesBlinkClient) -> list[Prospect]:
        """Return every prospect with the address.

        :raises InvalidInputError: no address came.
        :raises NotFoundError: there is none.
        """
        from airflow_provider_salesblink.client import NotFoundError

        found = self.searched(client)
        if not found:
            raise NotFoundError("No prospect has this address. Check it, and that the key's user may see the campaign.")
        return found


def _name_of(context: Context) -> str | None:
    """A name for the task that a retry of it has too, so that it knows its own reservations; None outside a run."""
    task = context.get("ti")
    return f"{task.dag_id}/{task.run_id}/{task.task_id}/{task.map_index}" if task else None


def exactly_one(*, hint: str = "", **given: object) -> None:
    """Check that one of the arguments is given.

    Called when the task runs: before that the arguments are templates, or not there yet (mapped tasks).

    :param hint: a sentence that follows the error's.
    :raises AirflowFailException: none or several are.
    """
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        which = "both" if named else "neither"
        raise AirflowFailException(f"Give exactly one of {' and '.join(given)}; {which} of them came.{hint}")


def one_of(argument: str, value: object, words: tuple[str, ...]) -> None:
    """Check an argument that takes one of some words; when the DAG is read, since it is no template.

    :raises ValueError: it is none of them.
    """
    if value not in words:
        raise ValueError(f"{argument} is {value!r}; it takes {', '.join(map(repr, words))}.")


def shown(names: Iterable[str]) -> list[str]:
    """Names of columns as they may be shown: somebody may have put an address into one."""
    from airflow_provider_salesblink.client.redaction import redacted

    return [redacted(name) for name in names]


def outcome(word: str, *, dry_run: bool = False, **found: Any) -> dict[str, Any]:
    """What a task leaves in XCom: its outcome, and the ids and counts it found."""
    if dry_run:
        return {"outcome": "dry_run", "would_be": word, **found}
    return {"outcome": word, **found}


def summary(result: Mapping[str, Any]) -> str:
    """What a task leaves in XCom, for its log: lists as their lengths."""
    from airflow_provider_salesblink.client.redaction import redacted

    found = {name: len(value) if isinstance(value, list) else value for name, value in result.items()}
    word = str(found.pop("outcome"))
    return redacted(", ".join([word, *(f"{name} {value}" for name, value in found.items())]))


def _with_events(outlets: Sequence[Any], result: dict[str, Any], events: Any) -> list[Any]:  # noqa: ANN401
    """Put ``result`` into the events of those outlets that are SalesBlink's, however they are referenced.

    :param events: the context's ``outlet_events``; None outside a run.
    :return: the outlets that shall have an event: in a dry run nothing happened to those that are SalesBlink's.
    """
    if events is None:
        return list(outlets)
    ours = [_is_uri(_uri_of(outlet, events)) for outlet in outlets]
    of_aliases = [each for outlet in outlets for each in _added_to_alias(outlet, events)]
    if result.get("outcome") == "dry_run":
        for added, event in of_aliases:
            added.remove(event)
        return [outlet for outlet, is_ours in zip(outlets, ours, strict=True) if not is_ours]
    for outlet, is_ours in zip(outlets, ours, strict=True):
        if is_ours:
            events[outlet].extra.update(result)
    for _, event in of_aliases:
        _extra_of(event).update(result)
    return list(outlets)


def _uri_of(outlet: Any, events: Any) -> str:  # noqa: ANN401
    if hasattr(outlet, "uri") or not _is_reference(outlet):
        return str(getattr(outlet, "uri", ""))
    try:
        # Only Airflow knows which asset has the name.
        return str(events[outlet].key.uri)
    except Exception as error:  # noqa: BLE001
        # The people are in; a retry for the sake of an event would not be worth it.
        log.warning("The outlet %r could not be looked up (%s).", outlet, type(error).__name__)
        return ""


def _is_reference(outlet: object) -> bool:
    # Airflow 3 only: Asset.ref(name=...), Asset.ref(uri=...).
    return type(outlet).__name__ in ("AssetNameRef", "AssetUriRef")


def _added_to_alias(outlet: Any, events: Any) -> list[tuple[list[Any], Any]]:  # noqa: ANN401
    """Return the events of SalesBlink's assets that were added to an alias, each with the list that it is in."""
    if type(outlet).__name__ not in ("AssetAlias", "DatasetAlias"):
        return []
    accessor = events[outlet]
    added = getattr(accessor, "asset_alias_events", None) or getattr(accessor, "dataset_alias_events", [])
    return [(added, event) for event in added if _is_uri(_target_of(event))]


def _target_of(event: Any) -> str:  # noqa: ANN401
    # A dict in Airflow 2.
    return str(event["dest_dataset_uri"] if isinstance(event, dict) else event.dest_asset_key.uri)


def _extra_of(event: Any) -> dict[str, Any]:  # noqa: ANN401
    extra: dict[str, Any] = event["extra"] if isinstance(event, dict) else event.extra
    return extra


def _is_uri(uri: str) -> bool:
    return uri.startswith(f"{SCHEME}://")
