"""The JSON of `ctq inspect` as a schema, and the few words of JSON Schema that it takes to check it."""

from __future__ import annotations

from typing import Any

TEXT, NUMBER, FLAG, NONE = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}, {"type": "null"}
STATES = ("quantized", "dense", "tied", "absent", "broken")


def record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def maybe(kind: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [kind, NONE]}


def choice(*words: str) -> dict[str, Any]:
    return {"enum": list(words)}


def many(kind: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": kind}


SCHEMA = record(
    schema_version={"const": 1},
    checkpoint=record(
        path=TEXT,
        architecture=maybe(TEXT),
        format=maybe(TEXT),
        quant_method=maybe(TEXT),
        tie_word_embeddings=maybe(FLAG),
        bytes=NUMBER,
        tensors=NUMBER,
        shards=NUMBER,
    ),
    lm_head=record(
        name=maybe(TEXT),
        state=choice(*STATES),
        scheme=maybe(TEXT),
        format=maybe(TEXT),
        matched_target=maybe(TEXT),
        ignored_by=maybe(TEXT),
        tensors=many(TEXT),
        reason=TEXT,
    ),
    cost=record(
        by_kind={"type": "object", "additionalProperties": NUMBER},
        per_token=NUMBER,
        head=NUMBER,
        head_dense=NUMBER,
        head_int8=NUMBER,
        head_saves=NUMBER,
        decode_gain={"type": "number"},
    ),
    modules=many(
        record(
            name=TEXT,
            kind=TEXT,
            state=choice(*STATES),
            scheme=maybe(TEXT),
            activations=maybe(TEXT),
            format=maybe(TEXT),
            matched_target=maybe(TEXT),
            ignored_by=maybe(TEXT),
            bytes=NUMBER,
            tensors={"type": "object", "additionalProperties": record(dtype=TEXT, shape=many(NUMBER))},
        )
    ),
    engines=many(
        record(
            engine=TEXT, version=TEXT, verdict=choice("quantized", "dense", "fails", "garbage", "unknown"), reason=TEXT
        )
    ),
    findings=many(
        record(code=TEXT, name=TEXT, severity=choice("error", "warning", "note"), message=TEXT, where=TEXT, hint=TEXT)
    ),
)


def check(value: Any, schema: dict[str, Any], where: str = "report") -> None:
    """Validate against the few words of JSON Schema that are used here."""
    if "anyOf" in schema:
        kind = schema["anyOf"][1] if value is None else schema["anyOf"][0]
        return check(value, kind, where)
    if "const" in schema or "enum" in schema:
        assert value in schema.get("enum", [schema.get("const")]), where
        return None
    types = {"string": str, "integer": int, "boolean": bool, "null": type(None), "object": dict, "array": list}
    assert type(value) is types.get(schema["type"], float), f"{where} is {value!r}"
    if schema["type"] == "array":
        for index, item in enumerate(value):
            check(item, schema["items"], f"{where}[{index}]")
    for key in schema.get("required", ()):
        assert key in value, f"{where}.{key} is missing"
    if schema["type"] == "object":
        rest = schema.get("additionalProperties")
        for key, item in value.items():
            kind = schema.get("properties", {}).get(key, rest)
            assert kind, f"{where}.{key} is not documented"
            check(item, kind, f"{where}.{key}")
    return None
