"""The base of all SalesBlink sensors: poke, reschedule and deferrable mode with the same results."""

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
"""The errors of Airflow 2 and Airflow 3 for a task that was deferred longer than its timeout."""


class SalesBlinkSensor(SalesBlinkTaskMixin, BaseSensorOperator):
    """A task that waits for something in SalesBlink.

    The task fails at once if its condition can never be met: a wrong key, an unknown campaign, a state that SalesBlink
    does not show. Passing errors (429, 5xx, no answer) do not end the wait until ``max_consecutive_failures`` polls
    in a row failed; then Airflow retries the task. In ``reschedule`` mode each poll is a new process and failures are
    not counted, so only ``timeout`` ends the wait.

    :param salesblink_conn_id: the Airflow connection that holds the key (templated).
    :param deferrable: wait in the triggerer, without a worker. Sensors that need the same list share one request.
    :param max_consecutive_failures: number of polls in a row that may fail with a passing error.

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
            raise ValueError(f"max_consecutive_failures is {max_consecutive_failures}; it must be at least 1.")
        self.salesblink_conn_id = salesblink_conn_id
        self.deferrable = deferrable
        self.max_consecutive_failures = max_consecutive_failures
        self._failures = 0
        self._not_before = 0.0

    @abstractmethod
    def trigger(self) -> SalesBlinkTrigger:
        """Return the trigger that waits for the same condition.

        :raises AirflowFailException: an argument is invalid.
        """

    @abstractmethod
    def describe_condition(self) -> str:
        """Return the condition in words, without an address."""

    def finish(self, found: dict[str, Any]) -> dict[str, Any]:
        """Do what the task does once its condition is met, on a worker. Return what goes to XCom."""
        return found

    def polling_arguments(self) -> dict[str, Any]:
        """Return the arguments that all triggers take."""
        return {
            "salesblink_conn_id": self.salesblink_conn_id,
            "poll_interval": self.poke_interval,
            # As in poke mode, where Airflow logs passing errors and continues.
            "max_consecutive_failures": None if self.silent_fail else self.max_consecutive_failures,
            "backoff": self._backoff(),
        }

    def _backoff(self) -> dict[str, Any] | None:
        if not (self.exponential_backoff and self.deferrable):
            return None
        longest = self.max_wait.total_seconds() if self.max_wait else None
        return {"began": time.time(), "timeout": self.timeout, "longest": longest}

    def execute(self, context: Context) -> Any:  # noqa: ANN401
        """Wait until the condition is met; return ids and states for XCom."""
        # A retry may use the same object.
        self._failures, self._not_before = 0, 0.0
        if not self.deferrable:
            return self._wait_in_worker(context)
        self.defer(
            trigger=self._checked_trigger_or_skip(), method_name="resume", timeout=timedelta(seconds=self.timeout)
        )
        raise AssertionError("defer() does not return")

    def _wait_in_worker(self, context: Context) -> Any:  # noqa: ANN401
        try:
            return super().execute(context)
        except AirflowSensorTimeout as error:
            message = f"Waited for {self.describe_condition()}. {error}"
            # In deferrable mode, Airflow itself skips the task.
            raise (AirflowSkipException if self.never_fail else AirflowSensorTimeout)(message) from error

    def _checked_trigger_or_skip(self) -> SalesBlinkTrigger:
        # Airflow's own execute() does the same around poke().
        try:
            return self._checked_trigger()
        except Exception as error:
            if self.never_fail or (self.soft_fail and isinstance(error, AirflowFailException)):
                raise AirflowSkipException(str(error)) from error
            raise

    def resume(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return what the trigger found, or raise its reason."""
        from airflow_provider_salesblink.client import ConnectionFailedError

        if event["status"] == "met":
            found: dict[str, Any] = event["found"]
            self.log.info("Condition met: %s.", summary(found))
            return self.finish(found)
        if event["status"] == "hopeless":
            raise AirflowFailException(event["reason"])
        raise ConnectionFailedError(event["reason"])

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:  # noqa: ANN401
        """Resume the task as Airflow does, with the same timeout and ``never_fail`` as in poke mode.

        A timeout uses no retries. ``never_fail`` skips the task, whatever error ended the wait.
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
        """Raise the error of a wait that timed out.

        :raises AirflowSensorTimeout: always.
        """
        raise AirflowSensorTimeout(
            f"Waited for {self.describe_condition()}. It was not met within the timeout of {self.timeout:.0f} s, or "
            "within execution_timeout."
        )

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002
        """Poll once."""
        from airflow_provider_salesblink.client import SalesBlinkError

        if time.monotonic() < self._not_before:
            return PokeReturnValue(is_done=False)
        try:
            poked = self._as_poke(self._look())
        except SalesBlinkError as error:
            if error.permanent:
                raise AirflowFailException(str(error)) from error
            return self._note_passing_error(error)
        except (InvalidConnectionError, AirflowNotFoundException) as error:
            raise AirflowFailException(permanent_error_message(error, self.salesblink_conn_id)) from error
        self._failures = 0
        return poked

    def _look(self) -> Verdict:
        resource, condition = self._checked_trigger().condition()
        decided = dict(resource.look(self.hook.get_conn(), [condition]))
        return decided.get(condition)

    def _checked_trigger(self) -> SalesBlinkTrigger:
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
        return PokeReturnValue(is_done=verdict is not None, xcom_value=self.finish(verdict.found) if verdict else None)

    def _note_passing_error(self, error: SalesBlinkError) -> PokeReturnValue:
        from airflow_provider_salesblink.client import RateLimitedError

        self._failures += 1
        if self._failures >= self.max_consecutive_failures and not self.reschedule:
            raise error
        if isinstance(error, RateLimitedError):
            wait = USUAL_WAIT if error.retry_after is None else error.retry_after
            self._not_before = time.monotonic() + wait
        self.log.warning("Poll failed (%d in a row): %s", self._failures, error)
        return PokeReturnValue(is_done=False)

    def _get_next_poke_interval(self, started_at: Any, run_duration: Callable[[], float], poke_count: int) -> float:  # noqa: ANN401
        # Airflow calls this in both modes; Retry-After is a floor for poke_interval.
        usual: float = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        rest = self._not_before - time.monotonic()
        if not self.reschedule:
            # Do not hold a worker beyond the timeout.
            rest = min(rest, self.timeout - run_duration())
        return max(usual, rest)
