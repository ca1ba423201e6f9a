"""OpenAPI 3.1 from the operations table."""

from __future__ import annotations

from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from sluicegate import __version__
from sluicegate.base.model import Model
from sluicegate.base.permission import Public
from sluicegate.guard.operation import Nothing, Operation

PREFIX = "/api/v1"
_PROBLEM = {
    "type": "object",
    "description": "Problem document (RFC 9457).",
    "required": ["type", "code", "status", "title"],
    "properties": {
        "type": {"type": "string"},
        "code": {"type": "string"},
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "where": {"type": "string"},
        "hint": {"type": "string"},
        "request": {"type": "string", "description": "Id of the request, as in the log and the audit trail."},
    },
}


def document(operations: tuple[Operation, ...]) -> dict[str, Any]:
    """Return the OpenAPI document of all operations."""
    # A field with a default may be left out of a question; an answer always has it.
    modes: set[tuple[type[Model], Literal["validation", "serialization"]]] = {
        *((each.takes, "validation") for each in operations),
        *((each.gives, "serialization") for each in operations if not each.ticketed),
    }
    ordered = sorted(modes, key=lambda pair: (pair[0].__name__, pair[1]))
    refs, defs = models_json_schema(ordered, ref_template="#/components/schemas/{model}")
    schemas = {**defs.get("$defs", {}), "Problem": _PROBLEM}
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(PREFIX + each.http.path, {})[each.http.method.lower()] = _operation(each, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sluicegate",
            "version": __version__,
            "description": "Every endpoint but the public ones takes a short-lived access token (JWT, HS512).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "access": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
            },
        },
    }


def _operation(each: Operation, refs: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    http = each.http
    schema = each.takes.model_json_schema(ref_template="#/components/schemas/{model}")
    required = set(schema.get("required", ()))
    shown: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary,
        "tags": [each.name.partition(".")[0]],
        "responses": {
            str(http.status): {"description": (each.gives.__doc__ or "").strip(), "content": _content(each, refs)},
            "default": {
                "description": "What was wrong.",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }
    if isinstance(each.permission, Public):
        shown |= {"security": [], "x-permission": None, "x-public": each.permission.reason}
    else:
        scheme = "ticket" if each.ticketed else "access"
        shown |= {"security": [{scheme: []}], "x-permission": each.permission.value}
    fields = schema.get("properties", {})
    asked = each.ticketed or http.method in {"POST", "PUT"}  # a ticket carries the question
    in_query = [] if asked else [name for name in fields if name not in http.places]
    parameters = [
        {"name": name, "in": place, "required": place == "path" or name in required, "schema": fields[name]}
        for place, names in (("path", http.places), ("query", in_query))
        for name in names
    ]
    if parameters:
        shown["parameters"] = parameters
    if http.method in {"POST", "PUT"} and each.takes is not Nothing:
        body = {key: value for key, value in fields.items() if key not in http.places}
        if body:
            wanted = sorted(required - set(http.places))
            inline = {"type": "object", "properties": body, "additionalProperties": False}
            whole: dict[str, Any] = refs[each.takes, "validation"] if not http.places else inline
            if wanted and whole is inline:
                inline["required"] = wanted
            shown["requestBody"] = {"required": bool(wanted), "content": {"application/json": {"schema": whole}}}
    return shown


def _content(each: Operation, refs: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    if each.ticketed:
        media = "text/event-stream" if each.serves == "stream" else "application/x-ndjson"
        return {media: {"schema": {"type": "string"}}}
    return {"application/json": {"schema": refs[each.gives, "serialization"]}}
