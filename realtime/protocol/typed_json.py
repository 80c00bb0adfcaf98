"""JSON to dataclasses: exactly the declared fields with exactly the declared types, or a sentence that says what is wrong.

Ranges, lengths and vocabularies stand beside the type (`Annotated[float, Within(0, 1)]`), so that the parser, the schema
and the documents all read the same declaration.
"""

import json
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from realtime.errors import BadCommand

MAX_ID_CHARACTERS = 64
MAX_TEXT_CHARACTERS = 256
MAX_ENTRIES = 64  # of an object or a list, unless `Length` says otherwise


@dataclass(frozen=True)
class Within:
    """A number from `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True)
class Length:
    """Characters of a string, or entries of a list or an object."""

    least: int
    most: int


@dataclass(frozen=True)
class OneOf:
    """A word, or every key of an object, is one of `words`; `kind` is what they are called."""

    words: tuple[str, ...]
    kind: str

    def check(self, word: str, name: str, command_id: str | None) -> None:
        if word not in self.words:
            listed = f"one of {', '.join(self.words)}" if len(self.words) < 20 else self.kind
            raise BadCommand(f"{name}: {word!r} is not {listed}", command_id)


def parse(text: str, kinds: Mapping[str, Any]) -> Any:
    """The dataclass of `kinds` that the JSON object's `type` names. Raises BadCommand, with the object's id if it has one."""
    return parse_object(load(text), kinds)


def load(text: str) -> Any:
    """JSON without NaN, infinities and halves of characters; raises BadCommand."""
    try:
        raw = json.loads(text, parse_constant=_refuse_constant)
        # `\ud83d` alone is JSON but no text: it cannot be written to a log, and OpenCV dies of it
        if "\\ud" in text.lower() or not text.isascii():
            json.dumps(raw, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise BadCommand("not JSON: half a character (a lone surrogate) is no text") from error
    except (ValueError, RecursionError) as error:
        raise BadCommand(f"not JSON: {error}") from error
    return raw


def id_of(raw: Any) -> str | None:
    """The id of a message, None where there is none that can be answered by."""
    given_id = raw.get("id") if isinstance(raw, dict) else None
    return given_id if isinstance(given_id, str) and 0 < len(given_id) <= MAX_ID_CHARACTERS else None


def parse_object(raw: Any, kinds: Mapping[str, Any]) -> Any:
    """As `parse`, for JSON that has been read already."""
    if not isinstance(raw, dict):
        raise BadCommand("a message is a JSON object")
    command_id = id_of(raw)
    given_type = raw.get("type")
    kind = kinds.get(given_type) if isinstance(given_type, str) else None
    if kind is None:
        raise BadCommand(f"type must be one of {', '.join(kinds)}", command_id)
    values = {name: value for name, value in raw.items() if name != "type"}
    return build(values, kind, kind.type, command_id)


def build(raw: Any, kind: Any, name: str, command_id: str | None = None) -> Any:
    """`raw`, an object of JSON, as the dataclass `kind`; `name` is what messages of BadCommand call it."""
    if not isinstance(raw, dict):
        raise BadCommand(f"{name} must be an object", command_id)
    hints = _hints(kind)
    known = {f.name: f for f in fields(kind)}
    unknown = sorted(str(key) for key in raw.keys() - known.keys())
    if unknown:
        raise BadCommand(f"{name} has no field {unknown[0]!r}", command_id)
    values = {}
    for field_name, field in known.items():
        if field_name in raw:
            values[field_name] = _typed(raw[field_name], hints[field_name], field_name, command_id)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise BadCommand(f"{name} needs {field_name}", command_id)
    try:
        return kind(**values)
    except BadCommand as error:
        raise BadCommand(str(error), command_id) from error


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _typed(value: Any, wanted: Any, name: str, command_id: str | None) -> Any:
    """`value` as the annotation asks for it; JSON integers count as floats, booleans do not."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin is Annotated:
        typed = _typed(value, arguments[0], name, command_id)
        for rule in arguments[1:]:
            _check(rule, typed, name, command_id)
        return typed
    if origin in (types.UnionType, Union):
        if value is None and type(None) in arguments:
            return None
        return _typed(value, next(c for c in arguments if c is not type(None)), name, command_id)
    if origin is Literal:
        if value in arguments and isinstance(value, str):
            return value
        raise BadCommand(f"{name} must be one of {', '.join(arguments)}", command_id)
    if origin is dict:
        if not isinstance(value, dict) or len(value) > MAX_ENTRIES:
            raise BadCommand(f"{name} must be an object of at most {MAX_ENTRIES} entries", command_id)
        return {key: _typed(item, arguments[1], f"{name}.{key}", command_id) for key, item in value.items()}
    if origin is tuple:
        if not isinstance(value, list):
            raise BadCommand(f"{name} must be a list", command_id)
        return tuple(_typed(item, arguments[0], f"{name}[{i}]", command_id) for i, item in enumerate(value))
    if wanted is Any:
        return value
    if is_dataclass(wanted):
        return build(value, wanted, name, command_id)
    return _plain(value, wanted, name, command_id)


def _plain(value: Any, wanted: type, name: str, command_id: str | None) -> Any:
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


def _check(rule: Any, value: Any, name: str, command_id: str | None) -> None:
    if isinstance(rule, Within) and not rule.low <= value <= rule.high:
        raise BadCommand(f"{name} must lie within {rule.low:g} and {rule.high:g}", command_id)
    if isinstance(rule, Length) and not rule.least <= len(value) <= rule.most:
        raise BadCommand(f"{name} must have {_span(rule)} {_unit(value)}", command_id)
    if isinstance(rule, OneOf):
        for word in [value] if isinstance(value, str) else value:
            rule.check(word, name, command_id)


def _span(rule: Length) -> str:
    return f"{rule.most}" if rule.least == rule.most else f"{rule.least} to {rule.most}"


def _unit(value: Any) -> str:
    return "characters" if isinstance(value, str) else "entries"
