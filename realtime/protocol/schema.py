"""The protocol as one JSON Schema file and as the tables of docs/protocol.md, both written from the message classes.

python -m realtime.protocol.schema            writes docs/protocol.schema.json and the tables
python -m realtime.protocol.schema --check    says what is out of date, and exits with 1
"""

import argparse
import inspect
import json
import sys
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from realtime.protocol.directives import Directive
from realtime.protocol.events import SERVER_TYPES
from realtime.protocol.messages import CLIENT_TYPES, PROTOCOL_VERSION, Request
from realtime.protocol.speech_messages import SPEECH_REPLIES, SPEECH_REQUESTS
from realtime.protocol.typed_json import Length, OneOf, Within

DOCUMENTS = Path(__file__).parent.parent.parent / "docs"
PLAIN = {float: "number", int: "integer", bool: "boolean", str: "string"}
TABLES = {
    "directives": get_args(Directive),
    "requests": get_args(Request),
    "events": tuple(SERVER_TYPES.values()),
    "speech requests": SPEECH_REQUESTS,
    "speech replies": tuple(kind for kind in SPEECH_REPLIES if kind not in SERVER_TYPES.values()),
}


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of every message of both directions, on the control channel and on the speech channel."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"FLAP Live control protocol, version {PROTOCOL_VERSION}",
        "$defs": {
            "client": {"oneOf": [_message(kind) for kind in CLIENT_TYPES.values()]},
            "server": {"oneOf": [_open(_message(kind)) for kind in SERVER_TYPES.values()]},
            "speech_client": {"oneOf": [_message(kind) for kind in SPEECH_REQUESTS]},
            "speech_server": {"oneOf": [_open(_message(kind)) for kind in SPEECH_REPLIES]},
        },
    }


def _open(schema: Any) -> Any:
    """What the server takes has no other fields; what it says may get some in a later version."""
    if isinstance(schema, dict):
        return {
            key: _open(value) for key, value in schema.items() if key != "additionalProperties" or value is not False
        }
    return [_open(part) for part in schema] if isinstance(schema, list) else schema


def _message(kind: Any) -> dict[str, Any]:
    schema = _object(kind)
    schema["properties"] = {"type": {"const": kind.type}, **schema["properties"]}
    schema["required"] = ["type", *schema["required"]]
    return {"title": kind.type, "description": description(kind), **schema}


def _object(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    properties, required = {}, []
    for field in fields(kind):
        properties[field.name] = _type(hints[field.name])
        if field.default is MISSING and field.default_factory is MISSING:
            required.append(field.name)
        elif isinstance(field.default, int | float | str | bool):
            properties[field.name]["default"] = field.default
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _type(hint: Any) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        schema = _type(arguments[0])
        for rule in arguments[1:]:
            schema |= _rule(rule, schema)
        return schema
    if origin in (types.UnionType, Union):
        return {"anyOf": [_type(c) for c in arguments if c is not type(None)] + [{"type": "null"}]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type(arguments[1])}
    if origin is tuple:
        return {"type": "array", "items": _type(arguments[0])}
    if is_dataclass(hint):
        return _object(hint)
    return {} if hint is Any else {"type": PLAIN[hint]}


def _rule(rule: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(rule, Within):
        return {"minimum": rule.low, "maximum": rule.high}
    if isinstance(rule, OneOf):
        words = {"enum": list(rule.words)}
        placed: dict[str, dict[str, Any]] = {
            "string": words,
            "array": {"items": words},
            "object": {"propertyNames": words},
        }
        return placed[schema["type"]]
    assert isinstance(rule, Length)
    unit = {"string": "Length", "array": "Items", "object": "Properties"}[schema["type"]]
    return {f"min{unit}": rule.least, f"max{unit}": rule.most}


def description(kind: Any) -> str:
    """A class's docstring on one line."""
    return " ".join((inspect.getdoc(kind) or "").split())


def table(kinds: tuple[Any, ...]) -> str:
    """A table of messages in Markdown."""
    lines = ["| type | fields | |", "|---|---|---|"]
    for kind in kinds:
        hints = get_type_hints(kind, include_extras=True)
        shown = [_field(field, hints[field.name]) for field in fields(kind) if not _is_own_id(kind, field.name)]
        lines.append(f"| `{kind.type}` | {', '.join(shown)} | {description(kind)} |")
    return "\n".join(lines)


def _is_own_id(kind: Any, name: str) -> bool:
    """Whether it is the id that every message of a client has, which no table needs to repeat."""
    return name == "id" and kind in (*CLIENT_TYPES.values(), *SPEECH_REQUESTS)


def _field(field: Any, hint: Any) -> str:
    if field.default is MISSING and field.default_factory is MISSING:
        return f"`{field.name}`{_span(hint)}"
    return f"`{field.name}`?{_span(hint)}{_default(field.default)}"


def _default(value: Any) -> str:
    if isinstance(value, str) and value:
        return f", else `{value}`"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f", else {value:g}"
    return ""


def _span(hint: Any) -> str:
    """What a value may be, in a few characters."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        return _span(next(c for c in arguments if c is not type(None)))
    if origin is Literal:
        return " " + " or ".join(f"`{word}`" for word in arguments)
    rules = arguments[1:] if origin is Annotated else ()
    return next((f" {rule.low:g}..{rule.high:g}" for rule in rules if isinstance(rule, Within)), "")


def files() -> dict[Path, str]:
    """What the generated files should hold."""
    document = DOCUMENTS / "protocol.md"
    text = document.read_text()
    for name, kinds in TABLES.items():
        begin, end = f"<!-- {name}: python -m realtime.protocol.schema -->\n", f"<!-- end of {name} -->"
        before, rest = text.split(begin)
        text = before + begin + table(kinds) + "\n" + end + rest.split(end)[1]
    schema = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    return {document: text, DOCUMENTS / "protocol.schema.json": schema}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    stale = [path for path, text in files().items() if not path.exists() or path.read_text() != text]
    if check and stale:
        sys.exit(f"out of date: {', '.join(path.name for path in stale)}: run python -m realtime.protocol.schema")
    for path in stale:
        path.write_text(files()[path])


if __name__ == "__main__":
    main()
