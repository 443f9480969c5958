"""The page about metrics lists each metric, as the code declares it, and no other."""

from __future__ import annotations

import re

from airflow_provider_salesblink.metrics import METRICS, Metric
from tests.docs.pages import DOCS

PAGE = (DOCS / "metrics.md").read_text()


def _row(metric: Metric) -> tuple[str, ...]:
    words = "; then ".join(", ".join(f"`{word}`" for word in choice) for choice in metric.words)
    return metric.name, words, metric.unit, metric.when


def test_the_table_has_each_metric_with_its_words_unit_and_time() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (\w+) \| (.+) \|$", PAGE, flags=re.MULTILINE)

    assert [(name, words.strip(), unit, when) for name, words, unit, when in rows] == [_row(each) for each in METRICS]


def test_the_page_explains_each_word_and_names_only_what_exists() -> None:
    table_ends = PAGE.index("- **Requests**")
    words = {word for metric in METRICS for choice in metric.words for word in choice}
    names = {name for metric in METRICS for name in metric.names()}
    patterns = re.findall(r"`((?:requests|waits|waited_ms|adds|ambiguous|rejects)[\w.*]*)`", PAGE[table_ends:])

    assert words - {"ok", "carried_out", "not_carried_out"} <= set(re.findall(r"`(\w+)`", PAGE[table_ends:])) | {"lost"}
    assert patterns
    for pattern in patterns:
        assert any(re.fullmatch(pattern.replace(".", r"\.").replace("*", ".+"), name) for name in names), pattern
