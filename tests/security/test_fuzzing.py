"""Any argument and any answer quickly give a documented result or a documented error, and show nothing private."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_salesblink.client import SalesBlinkClient
from tests.client.raw_server import answer
from tests.security.fuzzing import ANSWERS, CALLS, KEY, RIGHT, VALUES, Fuzzed, is_promised
from tests.security.test_arguments import assert_well_formed, calls

# benchmarks/fuzz_client.py sets more.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
LITTLE = settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Fuzzed]:
    with Fuzzed() as fuzzed:
        yield fuzzed


METHODS = sorted({(resource, method) for resource, method, _ in calls()})


@LITTLE
@given(st.sampled_from(METHODS), st.data())
def test_any_arguments(fuzzed: Fuzzed, called: tuple[str, str], data: st.DataObject) -> None:
    call = getattr(getattr(fuzzed.client, called[0]), called[1])
    arguments = {
        name: data.draw(VALUES, name)
        for name in inspect.signature(call).parameters
        if name not in ("ignore_ids", "learn")
    }

    fuzzed.check(lambda: read_out(call(**arguments)))

    assert_well_formed(fuzzed.server, KEY)


def read_out(result: Any) -> Any:
    """Return the whole result of an iterator."""
    return list(result) if isinstance(result, Iterator) else result


@LITTLE
@given(st.sampled_from(["api_key", "base_url", "timeout", "max_attempts", "reads_per_minute"]), VALUES)
def test_any_options(fuzzed: Fuzzed, option: str, value: Any) -> None:
    right = {"api_key": KEY, "base_url": fuzzed.server.url, "reads_per_minute": 0, "writes_per_minute": 0}

    fuzzed.check(lambda: SalesBlinkClient(**{**right, option: value}).close())


@LITTLE
@given(st.integers(0, len(CALLS) - 1), ANSWERS)
def test_any_answer(fuzzed: Fuzzed, number: int, content: bytes) -> None:
    fuzzed.answer = content

    result = fuzzed.check(lambda: CALLS[number](fuzzed.client))

    assert result is None or is_promised(result)


def test_valid_answers_give_results(fuzzed: Fuzzed) -> None:
    for call in CALLS:
        fuzzed.answer = answer({"success": True, "data": [RIGHT]})
        assert is_promised(fuzzed.check(lambda call=call: call(fuzzed.client)))
