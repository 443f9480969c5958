"""What all SalesBlink sensors share: three ways of waiting with one result."""

from __future__ import annotations

import time
from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_salesblink.connection_form import DEFAULT_CONN_ID, InvalidConnectionError
from airflow_provider_salesblink.operators.base import summary
from airflow_provider_salesblink.task_mixins import USUAL_WAIT, SalesBlinkTaskMixin, permanent_error_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_salesblink.client import SalesBlinkError
    from airflow_provider_salesblink.triggers.base import SalesBlinkTrigger
    from airflow_provider_salesblink.waiting.conditions import Verdict

_TIMED_OUT = ("Trigger/execution timeout", "Trigger timeout")
"""How Airflow 2 and Airflow 3 say that a task was deferred for longer than it may be."""


class SalesBlinkSensor(SalesBlinkTaskMixin, BaseSensorOperator):
    """A task that waits for something in SalesBlink.

    What would never come (a wrong key, an unknown campaign, a state that SalesBlink does not tell) fails the task at
    once. What may pass (429, 5xx, no answer) does not, until ``max_consecutive_failures`` looks in a row failed; then
    the task's retries are used. In ``reschedule`` mode each look is a process of its own, and failures are not counted:
    there only ``timeout`` ends the wait.

    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param deferrable: wait in the triggerer, where all who wait at the same place share one request; no worker is held.
    :param max_consecutive_failures: how many looks in a row may fail in passing.

    Airflow's own ``soft_fail``, ``never_fail``, ``silent_fail``, ``exponential_backoff`` and ``max_wait`` work in every
    mode.
    """

    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        salesblink_conn_id: str = DEFAULT_CONN_ID,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        max_consecutive_failures: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_consecutive_failures < 1:
            raise ValueError(f"max_consecutive_failures is {max_consecutive_failures}; at least one look must fail.")
        self.salesblink_conn_id = salesblink_conn_id
        self.deferrable = deferrable
        self.max_consecutive_failures = max_consecutive_failures
        self._failures = 0
        self._not_before = 0.0

    @abstractmethod
    def trigger(self) -> SalesBlinkTrigger:
        """What waits for the same in the triggerer.

        :raises AirflowFailException: the arguments cannot be right.
        """

    @abstractmethod
    def awaited(self) -> str:
        """What is waited for, in words without an address."""

    def polling(self) -> dict[str, Any]:
        """The arguments that all triggers take."""
        return {
            "salesblink_conn_id": self.salesblink_conn_id,
            "poll_interval": self.poke_interval,
            # In poke mode, Airflow logs what fails in passing and goes on.
            "max_consecutive_failures": None if self.silent_fail else self.max_consecutive_failures,
            "backoff": self._backoff(),
        }

    def _backoff(self) -> dict[str, Any] | None:
        if not (self.exponential_backoff and self.deferrable):
            return None
        longest = self.max_wait.total_seconds() if self.max_wait else None
        return {"began": time.time(), "timeout": self.timeout, "longest": longest}

    def execute(self, context: Context) -> Any:  # noqa: ANN401
        """Wait."""
        # A retry may come to the same object.
        self._failures, self._not_before = 0, 0.0
        if not self.deferrable:
            return self._waited_here(context)
        self.defer(trigger=self._checked_or_skipped(), method_name="resume", timeout=timedelta(seconds=self.timeout))
        raise AssertionError("defer() does not return")

    def _waited_here(self, context: Context) -> Any:  # noqa: ANN401
        try:
            return super().execute(context)
        except AirflowSensorTimeout as error:
            message = f"Waited for {self.awaited()}. {error}"
            # Where it is deferred, Airflow itself skips the task then.
            raise (AirflowSkipException if self.never_fail else AirflowSensorTimeout)(message) from error

    def _checked_or_skipped(self) -> SalesBlinkTrigger:
        # What Airflow's own execute() does around poke().
        try:
            return self._checked()
        except Exception as error:
            if self.never_fail or (self.soft_fail and isinstance(error, AirflowFailException)):
                raise AirflowSkipException(str(error)) from error
            raise

    def resume(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """End as the trigger says."""
        from airflow_provider_salesblink.client import ConnectionFailedError

        if event["status"] == "met":
            found: dict[str, Any] = event["found"]
            self.log.info("It has come: %s.", summary(found))
            return found
        if event["status"] == "hopeless":
            raise AirflowFailException(event["reason"])
        raise ConnectionFailedError(event["reason"])

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:  # noqa: ANN401
        """As Airflow does, but with a sensor's timeout and ``never_fail`` on Airflow 2 too.

        Such a timeout uses no retries; ``never_fail`` skips the task whatever ended the wait, as in poke mode.
        """
        if (next_kwargs or {}).get("error") in _TIMED_OUT:
            next_method, next_kwargs = "timed_out", None
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSkipException:
            raise
        except Exception as error:
            if self.never_fail:
                raise AirflowSkipException(f"Skipped, because never_fail is set: {error}") from error
            raise

    def timed_out(self, context: Context) -> None:  # noqa: ARG002
        """End because it did not come in time.

        :raises AirflowSensorTimeout: always.
        """
        raise AirflowSensorTimeout(
            f"Waited for {self.awaited()}. It did not come within the timeout of {self.timeout:.0f} s, or "
            "execution_timeout."
        )

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002
        """Look once."""
        from airflow_provider_salesblink.client import SalesBlinkError

        if time.monotonic() < self._not_before:
            return PokeReturnValue(is_done=False)
        try:
            verdict = self._looked()
        except SalesBlinkError as error:
            if error.permanent:
                raise AirflowFailException(str(error)) from error
            return self._failed_in_passing(error)
        except (InvalidConnectionError, AirflowNotFoundException) as error:
            raise AirflowFailException(permanent_error_message(error, self.salesblink_conn_id)) from error
        self._failures = 0
        return self._as_poke(verdict)

    def _looked(self) -> Verdict:
        resource, condition = self._checked().condition()
        settled = dict(resource.look(self.hook.get_conn(), [condition]))
        return settled.get(condition)

    def _checked(self) -> SalesBlinkTrigger:
        try:
            trigger = self.trigger()
            trigger.condition()
        except ValueError as error:
            raise AirflowFailException(str(error)) from error
        return trigger

    def _as_poke(self, verdict: Verdict) -> PokeReturnValue:
        from airflow_provider_salesblink.waiting.conditions import Hopeless

        if isinstance(verdict, Hopeless):
            raise AirflowFailException(verdict.reason)
        return PokeReturnValue(is_done=verdict is not None, xcom_value=verdict.found if verdict else None)

    def _failed_in_passing(self, error: SalesBlinkError) -> PokeReturnValue:
        from airflow_provider_salesblink.client import RateLimitedError

        self._failures += 1
        if self._failures >= self.max_consecutive_failures and not self.reschedule:
            raise error
        if isinstance(error, RateLimitedError):
            wait = USUAL_WAIT if error.retry_after is None else error.retry_after
            self._not_before = time.monotonic() + wait
        self.log.warning("Could not look (%d in a row): %s", self._failures, error)
        return PokeReturnValue(is_done=False)

    def _get_next_poke_interval(self, started_at: Any, run_duration: Callable[[], float], poke_count: int) -> float:  # noqa: ANN401
        # Airflow waits so long in both modes; a server's word counts more than poke_interval.
        usual: float = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        rest = self._not_before - time.monotonic()
        if not self.reschedule:
            # A worker is held, and would be for nothing after the timeout.
            rest = min(rest, self.timeout - run_duration())
        return max(usual, rest)
