"""The description is one that OpenAPI 3.1 allows, says all there is, and what it says is so."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from sluicegate.base.permission import Public
from sluicegate.base.principal import Role
from sluicegate.guard.operation import Nothing
from sluicegate.operations import OPERATIONS
from sluicegate.web import openapi
from tests.security.asks import ask_for

DOCUMENT = openapi.document(OPERATIONS)
SCHEMAS = DOCUMENT["components"]["schemas"]
TYPES = {"object", "array", "string", "integer", "number", "boolean", "null"}
BY_ID = {
    shown["operationId"]: (path, method, shown)
    for path, methods in DOCUMENT["paths"].items()
    for method, shown in methods.items()
}
EACH = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)


def walk(value, path="#"):
    """Yield every map in a document, with its place."""
    if isinstance(value, dict):
        yield path, value
        for key, inner in value.items():
            yield from walk(inner, f"{path}/{key}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from walk(inner, f"{path}/{place}")


def resolve(schema):
    while "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].removeprefix("#/components/schemas/")]
    return schema


def check_schema(schema, place):
    """Assert that a schema is one of JSON Schema 2020-12, as far as ours go."""
    assert isinstance(schema, dict), place
    kind = schema.get("type")
    assert kind is None or kind in TYPES, place
    assert set(schema.get("required", ())) <= set(schema.get("properties", schema.get("required", ()))), place
    assert schema.get("enum", [1]), place
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        assert name not in schema or schema[name], place
        for number, inner in enumerate(schema.get(name, ())):
            check_schema(inner, f"{place}/{name}/{number}")
    for name, inner in schema.get("properties", {}).items():
        check_schema(inner, f"{place}/properties/{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            check_schema(schema[name], f"{place}/{name}")
    if "pattern" in schema:
        re.compile(schema["pattern"])


def test_the_frame_is_that_of_openapi():
    assert re.fullmatch(r"3\.1\.\d+", DOCUMENT["openapi"])
    assert set(DOCUMENT) <= {"openapi", "info", "servers", "paths", "components", "security", "tags", "externalDocs"}
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert set(DOCUMENT["info"]["license"]) == {"name", "identifier"}
    assert json.loads(json.dumps(DOCUMENT, allow_nan=False)) == DOCUMENT


def test_every_reference_leads_to_a_schema_and_what_is_not_referred_to_is_a_question():
    used = {value["$ref"].removeprefix("#/components/schemas/") for _, value in walk(DOCUMENT) if "$ref" in value}
    assert used <= set(SCHEMAS)
    assert set(SCHEMAS) - used <= {each.takes.__name__ for each in OPERATIONS}, (
        "questions are spread over path and query"
    )
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in SCHEMAS)
    assert not [place for place, value in walk(DOCUMENT) if "$defs" in value]


def test_every_schema_is_a_sound_one():
    for name, schema in SCHEMAS.items():
        check_schema(schema, name)
    for place, value in walk(DOCUMENT["paths"]):
        if "schema" in value:
            check_schema(value["schema"], place)


@pytest.mark.security
@pytest.mark.req("SEC-Z01")
def test_what_is_described_is_the_table_no_more_and_no_less():
    assert {
        name: (path, method) for name, (path, method, _) in BY_ID.items()
    } == {each.name: (openapi.PREFIX + each.http.path, each.http.method.lower()) for each in OPERATIONS}  # fmt: skip


@EACH
def test_an_operation_says_what_it_does_and_how_it_ends(operation):
    _, _, shown = BY_ID[operation.name]
    assert shown["summary"] == operation.summary
    assert set(shown["responses"]) == {str(operation.http.status), "default"}
    assert all(each["description"] for each in shown["responses"].values())
    problem = shown["responses"]["default"]["content"]["application/problem+json"]["schema"]
    assert set(resolve(problem)["required"]) == {"type", "code", "status", "title"}


@EACH
def test_each_field_of_a_question_has_exactly_one_place(operation):
    path, method, shown = BY_ID[operation.name]
    parameters = shown.get("parameters", [])
    in_path = {each["name"] for each in parameters if each["in"] == "path"}
    in_query = {each["name"] for each in parameters if each["in"] == "query"}
    body = shown.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    in_body = set(resolve(body).get("properties", ()))
    assert in_path == set(re.findall(r"\{(\w+)\}", path))
    assert all(each["required"] for each in parameters if each["in"] == "path")
    assert method in {"post", "put"} or not shown.get("requestBody")
    assert method in {"get", "delete"} or not in_query
    fields = set(operation.takes.model_json_schema().get("properties", ()))
    if operation.ticketed:  # its ticket carries the question
        fields &= in_path
    assert (in_path | in_query | in_body, len(in_path) + len(in_query) + len(in_body)) == (fields, len(fields))


@EACH
def test_what_must_be_said_is_said_to_be_required(operation):
    _, _, shown = BY_ID[operation.name]
    needed = set(operation.takes.model_json_schema().get("required", ()))
    body = shown.get("requestBody", {})
    schema = resolve(body.get("content", {}).get("application/json", {}).get("schema", {}))
    told = set(schema.get("required", ())) | {each["name"] for each in shown.get("parameters", ()) if each["required"]}
    assert needed <= told or operation.ticketed
    assert body.get("required", False) is bool(schema.get("required"))
    assert not body or schema["additionalProperties"] is False


@EACH
def test_every_field_of_a_question_has_help(operation):
    if operation.takes is not Nothing:
        fields = operation.takes.model_json_schema()["properties"]
        assert [name for name, field in fields.items() if not field.get("description")] == []


@pytest.mark.security
@pytest.mark.req("SEC-T20")
@EACH
def test_security_is_told_for_each_operation(operation):
    _, _, shown = BY_ID[operation.name]
    assert DOCUMENT["components"]["securitySchemes"]["access"] == {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
    }
    if isinstance(operation.permission, Public):
        assert (shown["security"], shown["x-public"]) == ([], operation.permission.reason)
    else:
        assert (shown["security"], shown["x-permission"]) == (
            [{"ticket" if operation.ticketed else "access": []}],
            operation.permission.value,
        )


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_a_secret_is_write_only_in_the_description():
    value = resolve(BY_ID["secret.set"][2]["requestBody"]["content"]["application/json"]["schema"])["properties"][
        "value"
    ]
    assert (value["format"], value["writeOnly"]) == ("password", True)
    answers = [shown["responses"] for _, _, shown in BY_ID.values()]
    refs = {value["$ref"] for _, value in walk(answers) if "$ref" in value}
    assert not [ref for ref in refs for _, value in walk(resolve({"$ref": ref})) if value.get("writeOnly")]


def fits(value, schema, place="answer"):
    """Assert that a value fits a schema: keys, and types of what is not null."""
    schema = resolve(schema)
    names = {
        bool: "boolean",
        int: "integer",
        float: "number",
        str: "string",
        list: "array",
        dict: "object",
        type(None): "null",
    }
    if "anyOf" in schema:
        choices = [resolve(each) for each in schema["anyOf"]]
        same = [each for each in choices if each.get("type", "object") == names[type(value)]]
        schema = (same or [each for each in choices if each.get("type") != "null"])[0]
    if "type" in schema:
        told = names[type(value)]
        assert told == schema["type"] or (told, schema["type"]) == ("integer", "number"), place
    if isinstance(value, dict) and "properties" in schema:
        assert set(value) <= set(schema["properties"]), place
        assert set(schema.get("required", ())) <= set(value), place
        for key, inner in value.items():
            fits(inner, schema["properties"][key], f"{place}.{key}")
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for number, inner in enumerate(value):
            fits(inner, schema["items"], f"{place}[{number}]")


@pytest.mark.security
@pytest.mark.req("SEC-Z07")
@pytest.mark.parametrize(
    "name", [each.name for each in OPERATIONS if each.http.method == "GET" and not (each.http.places or each.ticketed)]
)
def test_an_answer_is_as_it_is_described(place, name):
    path, _, shown = BY_ID[name]
    tenant = None if name.startswith(("tenant.", "superadmin.", "seal.")) else "north"
    token = place.token(Role.SUPERADMIN if tenant is None else Role.ADMINISTRATOR, tenant)
    place.a_run("north")
    place.call("sso.set", ask_for("sso.set"), place.token(Role.ADMINISTRATOR))
    got = place.request("GET", path, token)
    assert got.status_code == 200
    fits(got.json(), shown["responses"]["200"]["content"]["application/json"]["schema"])


def test_a_problem_is_as_it_is_described(place):
    got = place.request("GET", "/api/v1/flows")
    assert set(SCHEMAS["Problem"]["required"]) <= set(got.json())
    assert set(got.json()) <= set(SCHEMAS["Problem"]["properties"])


def test_the_description_is_served_to_everybody(place):
    got = place.request("GET", "/api/v1/openapi.json")
    assert (got.status_code, got.headers["content-type"]) == (200, "application/json")
    assert got.json() == DOCUMENT


@pytest.mark.slow
def test_the_description_is_the_same_every_time():
    code = (
        "import hashlib, json\nfrom sluicegate.operations import OPERATIONS\nfrom sluicegate.web import openapi\n"
        "print(hashlib.sha256(json.dumps(openapi.document(OPERATIONS)).encode()).hexdigest())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
