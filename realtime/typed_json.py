"""JSON to dataclasses: exactly the declared fields with exactly the declared types, or a sentence that says what is wrong."""

import json
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from realtime.errors import BadCommand

MAX_ID_CHARACTERS = 64
MAX_TEXT_CHARACTERS = 256
MAX_ENTRIES = 64


def parse(text: str, kinds: Mapping[str, Any]) -> Any:
    """The dataclass of `kinds` that the JSON object's `type` names. Raises BadCommand, with the object's id if it has one."""
    try:
        raw = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadCommand(f"not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise BadCommand("a message is a JSON object")
    given_id = raw.get("id") if isinstance(raw.get("id"), str) and len(raw["id"]) <= MAX_ID_CHARACTERS else None
    given_type = raw.get("type")
    kind = kinds.get(given_type) if isinstance(given_type, str) else None
    if kind is None:
        raise BadCommand(f"type must be one of {', '.join(kinds)}", given_id)
    hints = get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}
    unknown = sorted(raw.keys() - known.keys() - {"type"})
    if unknown:
        raise BadCommand(f"{kind.type} has no field {unknown[0]!r}", given_id)
    values = {}
    for name, field in known.items():
        if name in raw:
            values[name] = _typed(raw[name], hints[name], name, given_id)
        elif field.default is MISSING:
            raise BadCommand(f"{kind.type} needs {name}", given_id)
    return kind(**values)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _typed(value: Any, wanted: Any, name: str, command_id: str | None) -> Any:
    """`value` as the annotation asks for it; JSON integers count as floats, booleans do not."""
    origin = get_origin(wanted)
    if origin in (types.UnionType, Union):
        choices = get_args(wanted)
        if value is None and type(None) in choices:
            return None
        return _typed(value, next(c for c in choices if c is not type(None)), name, command_id)
    if origin is Literal:
        if value in get_args(wanted) and isinstance(value, str):
            return value
        raise BadCommand(f"{name} must be one of {', '.join(get_args(wanted))}", command_id)
    if origin is dict:
        if not isinstance(value, dict) or len(value) > MAX_ENTRIES:
            raise BadCommand(f"{name} must be an object", command_id)
        inner = get_args(wanted)[1]
        return {str(key): _typed(item, inner, f"{name}.{key}", command_id) for key, item in value.items()}
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise BadCommand(f"{name} must be a finite number", command_id)
        return number
    if wanted is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if wanted is bool and isinstance(value, bool):
        return value
    if wanted is str and isinstance(value, str) and len(value) <= MAX_TEXT_CHARACTERS:
        return value
    raise BadCommand(f"{name} must be a {wanted.__name__}", command_id)
