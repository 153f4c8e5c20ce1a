"""The OpenAPI 3.1 document, made from the endpoints and their models."""

from functools import cache
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from receiver import __version__
from receiver.console.api.endpoint import BASE, PATH_PARAMETERS, Endpoint
from receiver.console.api.endpoints import ENDPOINTS
from receiver.console.api.problems import MEDIA_TYPE, Problem

_REF: Final = "#/components/schemas/{model}"

_REFUSALS: Final = {
    400: "The request is wrong; `where` says what.",
    401: "No valid token.",
    403: "The token is not that of an admin.",
    404: "There is no such event or group.",
    409: "The routing table or the plan stands against it.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    429: "Too many wrong tokens from this address; `Retry-After` says when to try again.",
    502: "Nexudus refused or failed a call.",
    503: "The store cannot be reached.",
}

_ABOUT: Final = """What the console of Frontdesk shows and does, for programs.

Viewers may look; admins may change, and the audit log has who did it. Within `v1` no path, parameter or key is removed
or changes its meaning; new ones may come, so ignore keys that you do not know. Times are UTC, RFC 3339."""


@cache
def document() -> dict[str, Any]:
    """Return the document, in values that JSON has."""
    schemas = _schemas()
    paths: dict[str, Any] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(BASE + endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Frontdesk",
            "version": __version__,
            "summary": "The front desk for Nexudus events.",
            "description": _ABOUT,
            "license": {"name": "See the distribution"},
        },
        "servers": [{"url": "/", "description": "The console."}],
        "security": [{"token": []}],
        "tags": [{"name": tag} for tag in sorted({one.tag for one in ENDPOINTS})],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of FRONTDESK_ADMIN_TOKEN or FRONTDESK_VIEWER_TOKEN.",
                }
            },
            "schemas": schemas,
        },
    }


def input_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of what an endpoint takes, by itself."""
    return model.model_json_schema(mode="validation")


def _schemas() -> dict[str, Any]:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for endpoint in ENDPOINTS:
        wanted[endpoint.answer, "serialization"] = None
        if endpoint.body is not None:
            wanted[endpoint.body, "validation"] = None
    _, found = models_json_schema(list(wanted), ref_template=_REF)
    definitions: dict[str, Any] = found["$defs"]
    return definitions


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "description": f"{endpoint.summary} {'For viewers and admins.' if endpoint.may_view else 'For admins.'}",
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint)],
        "responses": {
            "200": {
                "description": (endpoint.answer.__doc__ or "").split("\n\n")[0],
                "content": {"application/json": {"schema": {"$ref": _REF.format(model=endpoint.answer.__name__)}}},
            },
            **{str(status): _refusal(status) for status in _refusals(endpoint)},
        },
    }
    if endpoint.body is not None:
        is_needed = bool(schemas[endpoint.body.__name__].get("required"))
        schema = {"$ref": _REF.format(model=endpoint.body.__name__)}
        operation["requestBody"] = {"required": is_needed, "content": {"application/json": {"schema": schema}}}
    return operation


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    found = []
    for name in endpoint.path_names:
        schema = dict(PATH_PARAMETERS[name])
        said = schema.pop("description")
        found.append({"name": name, "in": "path", "required": True, "description": said, "schema": schema})
    return found


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    if endpoint.query is None:
        return []
    shape = input_schema(endpoint.query)
    required = shape.get("required", ())
    found = []
    for name, given in shape["properties"].items():
        schema = _inlined(_not_null(given), shape.get("$defs", {}))
        said = schema.pop("description", None)
        schema.pop("title", None)
        parameter = {"name": name, "in": "query", "required": name in required, "schema": schema}
        found.append(parameter | ({"description": said} if said else {}))
    return found


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is left out rather than null."""
    if "anyOf" not in schema:
        return dict(schema)
    (kept,) = [one for one in schema["anyOf"] if one != {"type": "null"}]
    return {**kept, **{name: value for name, value in schema.items() if name not in ("anyOf", "default")}}


def _inlined(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Put an enumeration in the place of the reference to it."""
    if "$ref" not in schema:
        return schema
    name = schema.pop("$ref").rpartition("/")[2]
    return {"type": definitions[name]["type"], "enum": definitions[name]["enum"], **schema}


def _refusals(endpoint: Endpoint) -> list[int]:
    found = [400, 401, 403, 429, 503]
    if endpoint.path_names:
        found.append(404)
    if endpoint.method == "POST":
        found += [409, 413, 415, 502]
    return sorted(found)


def _refusal(status: int) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model=Problem.__name__)}
    return {"description": _REFUSALS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
