"""A list that is read in pieces is the list in the document, wherever the pieces end."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_salesblink.client import json_stream

PATHS = frozenset({(), ("data",), ("prospects",), ("data", "prospects")})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["data", "prospects", "success", "x"]) | st.text(), inner, max_size=5)
    ),
    max_leaves=30,
)
LAYOUTS = st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}])


def first_list(document: Any, path: json_stream.Path = ()) -> Any:
    """Return the list that :func:`json_stream.elements` must find."""
    if isinstance(document, list) and path in PATHS:
        return document
    if isinstance(document, dict) and any(each[: len(path)] == path and each != path for each in PATHS):
        for name, value in document.items():
            if (found := first_list(value, (*path, name))) is not None:
                return found
    return None


def in_pieces(content: bytes, length: int, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    with monkeypatch.context() as patch:
        patch.setattr(json_stream, "_PIECE", length)
        return list(json_stream.elements(io.BytesIO(content), PATHS, lambda *_: None))


@given(JSON, LAYOUTS, st.integers(1, 40))
def test_in_pieces_as_in_whole(document: Any, layout: dict[str, Any], length: int) -> None:
    content = json.dumps(document, **layout).encode()
    wanted = first_list(document)

    with pytest.MonkeyPatch.context() as patch:
        if wanted is None:
            with pytest.raises(LookupError):
                in_pieces(content, length, patch)
        else:
            assert in_pieces(content, length, patch) == wanted


@given(JSON, st.data(), st.integers(1, 40))
def test_half_a_document_is_an_error(document: Any, data: st.DataObject, length: int) -> None:
    content = json.dumps([document, document]).encode()
    cut = content[: data.draw(st.integers(0, len(content) - 1))]

    with pytest.MonkeyPatch.context() as patch, pytest.raises((ValueError, LookupError)):
        in_pieces(cut, length, patch)
    with pytest.raises(ValueError):  # noqa: PT011
        json_stream.parsed(cut)


@given(
    st.binary(max_size=60) | st.text('[]{}",:0123456789.eE+-tfn \\/ua', max_size=30).map(str.encode), st.integers(1, 9)
)
def test_a_document_that_is_valid_in_pieces_is_valid_as_a_whole(content: bytes, length: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        try:
            found = in_pieces(content, length, patch)
        except (ValueError, LookupError):
            return
    assert found == first_list(json_stream.parsed(content.decode("utf-8-sig").encode()))


def test_values_outside_the_list_are_reported() -> None:
    others: dict[json_stream.Path, Any] = {}
    content = (
        b'{"success": true, "data": {"total": 2, "prospects": [1, 2], "prospects": [3], "more": {"a": 1}}, "x": null}'
    )

    found = list(json_stream.elements(io.BytesIO(content), PATHS, lambda path, value: others.update({path: value})))

    assert found == [1, 2]
    assert others == {
        ("success",): True, ("data", "total"): 2, ("data", "prospects"): [3], ("data", "more"): {"a": 1}, ("x",): None,
    }  # fmt: skip


def test_only_a_value_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "LONGEST_VALUE", 1000)
    monkeypatch.setattr(json_stream, "_PIECE", 10)

    def read(length: int) -> list[Any]:
        return list(json_stream.elements(io.BytesIO(b'[["' + b"x" * length + b'"], 1]'), PATHS, lambda *_: None))

    assert read(900) == [["x" * 900], 1]
    with pytest.raises(ValueError, match="Unterminated"):
        read(100_000)
