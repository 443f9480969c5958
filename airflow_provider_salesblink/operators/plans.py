"""Operators that plan a load, and let a person approve it before anything is sent."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.argument_types import path_text
from airflow_provider_salesblink.operators import approvals
from airflow_provider_salesblink.operators.files import check_path, write_lines
from airflow_provider_salesblink.operators.hitl import HITLOperator
from airflow_provider_salesblink.operators.loads import AddProspectsOperator
from airflow_provider_salesblink.template_rendering import PrivateTemplates

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading.planned_load import PlannedLoad

__all__ = ["ApproveLoadOperator", "PlanLoadOperator"]

REJECT = "Reject"


class PlanLoadOperator(AddProspectsOperator):
    """Plan a load: find out what ``AddProspectsOperator`` would do with the same arguments, and write nothing.

    XCom: ``outcome`` "planned", ``campaign_id``, ``mode``, the number of people by action (``add``, ``update``,
    ``unsubscribe``, ``opt_out``, ``there``, ``opted_out``, ``rejected``, ``held_by_others``, ...), ``writes``,
    ``look_ups``, ``hours`` and ``days`` of the load, ``list_id``, ``stops`` (why guards would stop it), a ``sample``
    with masked addresses, ``digest``, ``plan_path`` and ``planned_at``.

    All arguments of ``AddProspectsOperator`` but ``approved_plan``, and:

    :param plan_path: where to write the fingerprints of the plan, which an approval needs: a file on any object
        storage, a new one for each run (templated). It holds no address. Default: none, to look only.
    """

    template_fields = (*(name for name in AddProspectsOperator.template_fields if name != "approved_plan"), "plan_path")
    output_arguments = (*AddProspectsOperator.output_arguments, "plan_path")

    def __init__(self, *, plan_path: str | os.PathLike[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.approved_plan is not None:
            raise ValueError("approved_plan is an argument of the load, not of its plan.")
        self.plan_path: str | None = path_text(plan_path)
        self._planned: dict[str, Any] = {}

    def call_salesblink(self, client: SalesBlinkClient) -> dict[str, Any]:
        """Plan the load in a dry run of it."""
        from airflow_provider_salesblink.loading import LoadFailedError

        check_path(self.plan_path, "plan_path")
        if self.mode != "update":
            # A dry run would do without.
            self.check_reservations_are_shared(client)
        connection = self.hook.get_connection(self.salesblink_conn_id)
        with closing(self.hook.client_of(connection, dry_run=True)) as dry_client:
            try:
                report = self.run_load(dry_client)
            except LoadFailedError as stopped:
                # The plan is made by then, and what stops the load is part of it.
                report = stopped.report
        for sentence in self._planned["stops"]:
            self.log.warning("The load would fail: %s", sentence)
        paths = {name: path for name, path in self._summary(report).items() if name in self.output_arguments}
        return {**self._planned, **paths}

    def look_at_plan(self, planned: PlannedLoad) -> None:
        """Keep the plan, and write its fingerprints."""
        from airflow_provider_salesblink.loading.plan_fingerprints import PlanFile

        planned_at = datetime.now(UTC)
        file = PlanFile(planned, self.options_of_rows(), planned_at)
        if self.plan_path is None:
            for _ in file.lines():
                """Only the digest is needed."""
        else:
            write_lines(self.plan_path, file.lines(), "plan_path")
        self._planned = {
            "outcome": "planned",
            "campaign_id": planned.report.campaign_id,
            "mode": self.mode,
            **planned.summary(),
            "digest": file.digest,
            "fingerprints": file.fingerprints,
            "planned_at": planned_at.isoformat(),
            "plan_path": self.plan_path,
        }
        # A guard may stop the load before that.
        self._keep(planned.plan.rejects())


class ApproveLoadOperator(PrivateTemplates, HITLOperator):
    """Show the plan of a load to a person, and wait until they approve or reject it (Airflow 3.1 and later).

    The task fails at once if the load is rejected, or nobody answers in time. The button to approve carries the plan's
    digest: after a clear or a retry, Airflow may show the text of an earlier plan, and approving that is an error.

    XCom: ``outcome`` "approved", ``campaign_id``, ``digest``, ``plan_path``, ``planned_at``, ``approved_by``,
    ``approved_at``, ``expires_at`` and ``run``: what ``AddProspectsOperator`` takes as ``approved_plan``.

    :param plan: what the plan task left in XCom: ``plan.output`` (templated).
    :param valid_for: how long a load may begin with the approval, from the answer on, as text such as "24h", or as a
        ``timedelta``.
    :param response_timeout: how long to wait for an answer. After it, the load is rejected.
    :param assigned_users: who may answer: a dict with ``id`` and ``name`` of an Airflow user, or a list of them.
        Default: everybody who may.
    :param notifiers: Airflow's notifiers to call when the wait begins.
    """

    template_fields: Sequence[str] = ("plan",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"plan": "json"}
    ui_color = AddProspectsOperator.ui_color

    def __init__(
        self,
        *,
        plan: Any,  # noqa: ANN401
        valid_for: str | timedelta = "24h",
        response_timeout: timedelta = timedelta(hours=24),
        **kwargs: Any,
    ) -> None:
        for name in ("subject", "body", "options", "defaults", "multiple"):
            if name in kwargs:
                raise ValueError(f"ApproveLoadOperator takes no {name}: it asks one question, and silence rejects.")
        _check_users(kwargs.get("assigned_users"))
        super().__init__(
            subject="Approve the load?", options=["Approve", REJECT], response_timeout=response_timeout, **kwargs
        )
        self.plan = plan
        self.valid_for = valid_for

    def execute(self, context: Context) -> Any:  # noqa: ANN401
        """Ask, and wait for the answer.

        :raises AirflowFailException: the plan cannot be approved, or Airflow would show another one.
        """
        plan = self._read_plan()
        self._valid_for()
        self.subject, self.body = approvals.subject(plan), approvals.body(plan, str(self.valid_for))
        kept = self._ask(context)
        if kept is not None and list(kept) != self.options:
            raise AirflowFailException(
                "Airflow still shows the text of an earlier plan of this run, so this plan cannot be approved here; "
                "nothing was sent. Start a new run."
            )
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the approval.

        :raises AirflowFailException: the load was rejected, nobody answered, or another plan was approved.
        """
        plan = self._read_plan()
        user, chosen = event.get("responded_by_user") or {}, event.get("chosen_options")
        if event.get("error_type") == "timeout" or (chosen and not user):
            self._fail("Nobody answered in time, so the load is rejected; nothing was sent.")
        if "error" in event:
            self._fail("Airflow could not read the answer, so the load is rejected; nothing was sent.")
        who = f"{user.get('name')} (id {user.get('id')})"
        allowed = [str(each["id"]) for each in self.assigned_users or ()]
        if allowed and str(user.get("id")) not in allowed:
            # Airflow keeps those of the first question, also if the DAG names others by now.
            self._fail(f"{who} is not among the assigned_users of the DAG, so the load is rejected; nothing was sent.")
        if chosen == [REJECT]:
            self._fail(f"Rejected by {who}; nothing was sent.")
        if chosen != self.options[:1]:
            self._fail(
                f"{who} approved the text of another plan than this one; nothing was sent. Start a new run to plan and "
                "approve again."
            )
        approved_at = event["responded_at"]
        self.log.info("Plan %s was approved by %s.", plan["digest"], who)
        return {
            "outcome": "approved",
            **{name: plan[name] for name in ("campaign_id", "digest", "plan_path", "planned_at")},
            "approved_by": who,
            "approved_at": approved_at.isoformat(),
            "expires_at": (approved_at + self._valid_for()).isoformat(),
            "run": approvals.run_of(context),
        }

    def _read_plan(self) -> dict[str, Any]:
        """Return the plan, and put its digest on the button."""
        plan = approvals.from_xcom("plan", self.plan)
        if not plan.get("plan_path"):
            raise AirflowFailException(
                "The plan has no plan_path, so no load could be held to it. Set plan_path in PlanLoadOperator."
            )
        self.options = [f"Approve {plan['digest'][: approvals.DIGITS_SHOWN]}", REJECT]
        return plan

    def _valid_for(self) -> timedelta:
        from airflow_provider_salesblink.client import InvalidInputError
        from airflow_provider_salesblink.results.windows import parse_length

        try:
            return parse_length("valid_for", self.valid_for)
        except InvalidInputError as error:
            raise AirflowFailException(str(error)) from None

    def _ask(self, context: Context) -> Sequence[str] | None:
        """Store the question, and return the options that Airflow keeps; None where it does not say.

        Airflow keeps those of the first question, also after a retry or a clear.
        """
        from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        # All of the question, because Airflow keeps this one, and not the same one that the base class stores next.
        question = CreateHITLDetailPayload(
            ti_id=context["ti"].id,
            options=self.options,
            subject=self.subject,
            body=self.body,
            params={},
            assigned_users=self.assigned_users or [],  # type: ignore[arg-type]  # converted to objects
        )
        return getattr(SUPERVISOR_COMMS.send(msg=question), "options", None)

    def _fail(self, sentence: str) -> None:
        self.log.warning("%s", sentence)
        raise AirflowFailException(sentence)


def _check_users(given: object) -> None:
    users = given if isinstance(given, list | tuple) else [] if given is None else [given]
    if not all(isinstance(each, dict) and {"id", "name"} <= each.keys() for each in users):
        raise ValueError(
            "assigned_users has something else than users: give a dict such as {'id': '1', 'name': 'ana'}, or a list "
            "of them. Airflow's list of users shows the ids."
        )
