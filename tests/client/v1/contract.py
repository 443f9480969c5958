"""The contract of the API v1, as the OpenAPI file in docs/api describes it."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, cast

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.conftest import ROOT

_NAME = "urn:contract"
_METHODS = ("get", "post", "put", "patch", "delete")


@cache
def contract() -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load((ROOT / "docs/api/public_api_v1.openapi.yaml").read_text("utf-8")))


@cache
def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Return operation id -> method, path, description."""
    return {
        described["operationId"]: (method.upper(), path, described)
        for path, item in contract()["paths"].items()
        for method, described in item.items()
        if method in _METHODS
    }


def parameters(operation: str, place: str) -> dict[str, dict[str, Any]]:
    """Return the parameters of an operation in ``place``, by name."""
    _, path, described = operations()[operation]
    given = [*contract()["paths"][path].get("parameters", []), *described.get("parameters", [])]
    found = [_resolved(each) for each in given]
    return {each["name"]: each for each in found if each["in"] == place}


def problems_of_query(operation: str, query: dict[str, str]) -> list[str]:
    """Return what is wrong with a query: unknown and missing parameters, and values outside their schema."""
    known = parameters(operation, "query")
    missing = [name for name, each in known.items() if each.get("required") and name not in query]
    wrong = [name for name in query if name not in known or not _fits(query[name], known[name]["schema"])]
    return [*(f"missing {name}" for name in missing), *(f"wrong {name}={query[name]}" for name in wrong)]


def problems_of_body(operation: str, body: Any) -> list[str]:
    """Return what is wrong with a JSON body: also each key that the contract does not name."""
    described = operations()[operation][2].get("requestBody")
    if described is None:
        return [] if body is None else ["a body that the contract does not have"]
    schema = _resolved(described)["content"]["application/json"]["schema"]
    problems = [error.message for error in _validator(schema).iter_errors(body)]
    known = set(_properties(schema))
    return problems + [f"unknown {name}" for name in body if name not in known]


def path_pattern(operation: str) -> re.Pattern[str]:
    """Return a pattern of the path of an operation; each parameter is one part."""
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(operations()[operation][1])))


def _properties(schema: dict[str, Any]) -> list[str]:
    schema = _resolved(schema)
    return [*schema.get("properties", ()), *(name for part in schema.get("allOf", ()) for name in _properties(part))]


def _fits(text: str, schema: dict[str, Any]) -> bool:
    value = json.loads(text) if schema["type"] in ("integer", "boolean") else text
    return not list(_validator(schema).iter_errors(value))


def _resolved(part: dict[str, Any]) -> dict[str, Any]:
    found = part
    if "$ref" in part:
        found = contract()
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
    return found


def _validator(schema: dict[str, Any]) -> Draft202012Validator:
    whole = Resource.from_contents(contract(), default_specification=DRAFT202012)
    text = json.dumps(schema).replace('"$ref": "#/', f'"$ref": "{_NAME}#/')
    return Draft202012Validator(json.loads(text), registry=Registry().with_resource(_NAME, whole))
