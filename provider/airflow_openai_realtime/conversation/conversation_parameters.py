"""Read the parameters of a conversation: check literals at parse time, and build the plan after rendering."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from airflow_openai_realtime.api.sip import canonical_target_uri, check_target_uri
from airflow_openai_realtime.api.untrusted import safe_name
from airflow_openai_realtime.calls.parameters import is_literal, read_mapping, read_number
from airflow_openai_realtime.conversation.author_functions import (
    function_name,
    inlined,
    is_in_dag_file,
    load_object,
    path_of,
    read_function,
)
from airflow_openai_realtime.conversation.rules.offered_tools import RESERVED_NAMES
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan, FunctionSpec, TransferTarget
from airflow_openai_realtime.exceptions import InvalidInput

LONGEST_WORDS = 2_000
MOST_SILENCE_SECONDS = 3600

_NONE = (None, "", "None", "none", "null")
_BOOLEANS = {"true": True, "false": False}


def read_conversation_plan(given: Mapping[str, Any]) -> ConversationPlan:
    """
    Read the rendered parameters of a conversation. Runs in a task: it imports functions and classes given by path.

    Of a class defined in the DAG file only the schema is used: its own validators do not run.

    :param given: Values by the names of ``ConversationParameters``, which says what they may be.
    :raises InvalidInput: A value is invalid; the message names the parameter and says what to do.
    """
    schema, model = _read_result_model(given["result_model"])
    plan = ConversationPlan(
        greeting=_read_words(given["greeting"], "greeting"),
        silence_seconds=_read_silence(given["silence_seconds"]),
        end_call=_read_bool(given["end_call"], "end_call"),
        goodbye=_read_words(given["goodbye"], "goodbye"),
        result_schema=schema,
        result_model=model,
        functions=tuple(read_function(value, field) for field, value in _functions_in(given["functions"])),
        transfer_targets=_read_targets(given["transfer_to"], canonical_target_uri),
    )
    _check_names(plan.functions)
    return plan


def check_conversation_literals(given: Mapping[str, Any]) -> None:
    """
    Reject invalid literals at parse time. Imports nothing of the author's and makes no schema.

    :param given: As for :func:`read_conversation_plan`, perhaps with templates.
    :raises InvalidInput: A literal value is invalid.
    """
    for field in ("greeting", "goodbye"):
        if is_literal(given[field]):
            _read_words(given[field], field)
    if is_literal(given["silence_seconds"]):
        _read_silence(given["silence_seconds"])
    if is_literal(given["end_call"]):
        _read_bool(given["end_call"], "end_call")
    result_model = given["result_model"]
    if inspect.isclass(result_model) or is_literal(result_model):
        _check_result_model(result_model)
    for field, value in _functions_in(given["functions"]):
        if callable(value) or is_literal(value):
            path_of(value.get("path") if isinstance(value, Mapping) else value, field)
            function_name(value, field)
    if is_literal(given["transfer_to"]):
        _read_targets(given["transfer_to"], check_target_uri)


def offered_names(functions: object) -> tuple[str, ...]:
    """
    Return the names of all tools that a conversation may offer. Imports nothing.

    :param functions: As in ``ConversationParameters``.
    :raises InvalidInput: The name of a function is not valid.
    """
    given = [(field, value) for field, value in _functions_in(functions) if callable(value) or is_literal(value)]
    return (*RESERVED_NAMES, *(function_name(value, field) for field, value in given))


def _read_words(value: object, field: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidInput(f"{field} must be a text; it is a {type(value).__name__}", field=field)
    words = value.strip()
    if len(words) > LONGEST_WORDS:
        raise InvalidInput(f"{field} has {len(words)} characters; at most {LONGEST_WORDS} can be said", field=field)
    return words or None


def _read_silence(value: object) -> float | None:
    if value in _NONE:
        return None
    return read_number(value, "silence_seconds", above=0, at_most=MOST_SILENCE_SECONDS)


def _read_bool(value: object, field: str) -> bool:
    read = _BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(read, bool):
        raise InvalidInput(f"{field} must be True or False; it is {value!r:.80}", field=field)
    return read


def _check_result_model(value: object) -> None:
    field = "result_model"
    if value in _NONE if not isinstance(value, Mapping) else False:
        return
    if isinstance(value, Mapping):
        _check_schema(value)
    elif inspect.isclass(value):
        if not hasattr(value, "model_json_schema"):
            raise InvalidInput(f"{field}: {value.__name__} is not a pydantic class (BaseModel)", field=field)
    else:
        path_of(value, field)


def _read_result_model(value: object) -> tuple[Mapping[str, Any] | None, str | None]:
    _check_result_model(value)
    if isinstance(value, Mapping):
        return dict(value), None
    if value in _NONE:
        return None, None
    model, path = _model_and_path(value)
    try:
        schema = inlined(model.model_json_schema())
    except Exception as error:
        raise InvalidInput(
            f"result_model: {model.__name__} has no JSON schema ({error})", field="result_model"
        ) from error
    _check_schema(schema)
    return schema, path


def _model_and_path(value: object) -> tuple[Any, str | None]:
    if inspect.isclass(value):
        is_importable = not is_in_dag_file(value) and "<" not in value.__qualname__
        return value, path_of(value, "result_model") if is_importable else None
    path = path_of(value, "result_model")
    try:
        model = load_object(path)
    except Exception as error:
        raise InvalidInput(
            f"result_model: {path} cannot be imported ({type(error).__name__}: {error}); it must be installed where "
            "the workers and the triggerer run",
            field="result_model",
        ) from error
    if not hasattr(model, "model_json_schema"):
        raise InvalidInput(f"result_model: {path} is not a pydantic class (BaseModel)", field="result_model")
    return model, path


def _check_schema(schema: Mapping[str, Any]) -> None:
    if schema.get("type") != "object":
        raise InvalidInput(
            "result_model must be a JSON schema of an object: {'type': 'object', 'properties': {…}}",
            field="result_model",
        )
    if any(not str(reference).startswith("#") for reference in _references(schema)):
        raise InvalidInput("result_model: a $ref must point into the schema itself: '#/$defs/…'", field="result_model")
    reserved = next((name for name in _property_names(schema) if safe_name(name) != name), None)
    if reserved is not None:
        raise InvalidInput(
            f"result_model: {reserved:.80} begins with two underscores, which Airflow reads as its own: rename it",
            field="result_model",
        )
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    try:
        validator_for(schema).check_schema(dict(schema))
    except SchemaError as error:
        raise InvalidInput(f"result_model is not a JSON schema: {error.message:.200}", field="result_model") from error


def _property_names(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        properties = value.get("properties")
        if isinstance(properties, Mapping):
            yield from map(str, properties)
        for each in value.values():
            yield from _property_names(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _property_names(each)


def _references(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        if "$ref" in value:
            yield value["$ref"]
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _references(each)


def _functions_in(value: object) -> list[tuple[str, Any]]:
    if value in _NONE if not callable(value) else False:
        return []
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
        raise InvalidInput("functions must be a list of functions or of their import paths", field="functions")
    return [(f"functions[{index}]", each) for index, each in enumerate(value)]


def _check_names(functions: Sequence[FunctionSpec]) -> None:
    names = [spec.name for spec in functions]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"functions: {name} is there more than once: rename one of them", field="functions")


def _read_targets(value: object, read: Callable[[str], str]) -> dict[str, TransferTarget]:
    targets: dict[str, TransferTarget] = {}
    for name, given in (read_mapping(value, "transfer_to") or {}).items():
        field = f"transfer_to.{name}"
        if not isinstance(name, str) or not name.strip() or len(name) > 64:
            raise InvalidInput(f"transfer_to: {name!r:.80} must be a name, 1 to 64 characters", field="transfer_to")
        target = dict(given) if isinstance(given, Mapping) else {"target_uri": given}
        unknown = set(target) - {"target_uri", "description"}
        if unknown:
            raise InvalidInput(f"{field} has no {sorted(map(str, unknown))[0]}", field=field)
        try:
            uri = read(target.get("target_uri"))  # type: ignore[arg-type]
        except InvalidInput as error:
            raise InvalidInput(f"{field}: {error}", field=field) from error
        targets[name] = TransferTarget(uri, str(target.get("description") or ""))
    return targets
