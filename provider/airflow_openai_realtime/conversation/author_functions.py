"""
Read the functions and classes of a DAG author: their import paths and their schemas.

They run in the triggerer, which imports them by path. They must therefore be in a module that the triggerer can import,
not in the DAG file.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, get_type_hints

from airflow_openai_realtime.calls.parameters import read_number
from airflow_openai_realtime.conversation.rules.offered_tools import RESERVED_NAMES
from airflow_openai_realtime.conversation.rules.plan import FUNCTION_SECONDS, FunctionSpec
from airflow_openai_realtime.exceptions import InvalidInput

if TYPE_CHECKING:
    from pydantic import BaseModel

CALL_PARAMETER = "call"
LONGEST_FUNCTION_SECONDS = 60.0

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_DAG_FILE_MODULES = ("unusual_prefix_", "__main__")
_PLAIN_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def path_of(value: object, field: str) -> str:
    """
    Return the import path of a function or class.

    :param value: The function or class, or its import path.
    :param field: Name of the parameter, for messages.
    :raises InvalidInput: It cannot be imported by a path.
    """
    if isinstance(value, str):
        path = value.strip().replace(":", ".")
        if not _PATH.fullmatch(path):
            raise InvalidInput(
                f"{field}: {value!r:.80} is not an import path like 'my_company.calls.book'", field=field
            )
        return path
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        raise InvalidInput(f"{field} must be a function or its import path; it is {value!r:.80}", field=field)
    if "<" in name or is_in_dag_file(value):
        raise InvalidInput(
            f"{field}: {name} cannot be imported by the triggerer. Define it at the top level of a module that is "
            "installed there (or in the plugins folder), not in the DAG file",
            field=field,
        )
    return f"{module}.{name}"


def load_object(path: str) -> Any:
    """
    Import an object by its path.

    :param path: ``package.module.name``; the name may be nested in a class.
    :raises ImportError: There is no such module or name.
    """
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:length])
        try:
            value: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not (module_name == error.name or module_name.startswith(error.name + ".")):
                raise
            continue
        try:
            for name in parts[length:]:
                value = getattr(value, name)
        except AttributeError as error:
            raise ImportError(f"{module_name} has no {'.'.join(parts[length:])}") from error
        return value
    raise ImportError(f"there is no module {parts[0]}")


def is_in_dag_file(value: object) -> bool:
    """
    Tell whether a function or class is defined in a DAG file, which Airflow imports under a new name each time.

    :param value: The function or class.
    """
    return str(getattr(value, "__module__", "")).startswith(_DAG_FILE_MODULES)


def function_name(value: object, field: str) -> str:
    """
    Return the name under which the model calls a function.

    :param value: The function or its path, or a dict with ``name`` or ``path``.
    :param field: Name of the parameter, for messages.
    :raises InvalidInput: The name is not valid, or is the name of a tool of this package.
    """
    given = value.get("name") if isinstance(value, Mapping) else None
    source = value.get("path") if isinstance(value, Mapping) else value
    name = given or path_of(source, field).rpartition(".")[2]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(f"{field}: {name!r:.80} must be letters, digits, _ and -, at most 64", field=field)
    if name in RESERVED_NAMES:
        raise InvalidInput(f"{field}: {name} is a tool of this package; choose another name", field=field)
    return name


def read_function(value: object, field: str) -> FunctionSpec:
    """
    Read one function, import it, and make the schema of its arguments from its signature.

    :param value: The function, its import path, or a dict with ``path`` and optionally ``name``, ``description`` and
        ``timeout_seconds``.
    :param field: Name of the parameter, for messages.
    :raises InvalidInput: The function or its settings are not valid.
    """
    given = dict(value) if isinstance(value, Mapping) else {"path": value}
    unknown = set(given) - {"path", "name", "description", "timeout_seconds"}
    if unknown:
        raise InvalidInput(f"{field} has no {sorted(unknown)[0]}", field=field)
    path, name = path_of(given.get("path"), field), function_name(given, field)
    try:
        function = load_object(path)
    except Exception as error:
        raise InvalidInput(
            f"{field}: {path} cannot be imported ({type(error).__name__}: {error}); it must be installed where the "
            "workers and the triggerer run",
            field=field,
        ) from error
    if not callable(function):
        raise InvalidInput(f"{field}: {path} is not a function", field=field)
    return FunctionSpec(
        name=name,
        path=path,
        description=str(given.get("description") or inspect.getdoc(function) or name),
        parameters=_schema_of(function, name, field),
        timeout_seconds=_read_seconds(given.get("timeout_seconds"), field),
        wants_call=CALL_PARAMETER in inspect.signature(function).parameters,
    )


def arguments_model(function: Callable[..., Any], name: str) -> type[BaseModel]:
    """
    Make a pydantic class from a function's parameters, without ``call``.

    :param function: The function.
    :param name: Name under which the model calls it.
    :raises TypeError: It has parameters that cannot be passed by name.
    """
    from pydantic import ConfigDict, create_model

    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == CALL_PARAMETER:
            continue
        if parameter.kind not in _PLAIN_KINDS:
            raise TypeError(f"its parameter {parameter.name} cannot be passed by name")
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (hints.get(parameter.name, Any), default)
    config = ConfigDict(extra="forbid", protected_namespaces=())
    model: type[BaseModel] = create_model(f"{name}_arguments", __config__=config, **fields)
    return model


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    Replace references to a schema's own definitions by the definitions; recursive references stay.

    :param schema: JSON schema from pydantic.
    """
    definitions = schema.get("$defs")
    if not isinstance(definitions, Mapping):
        return dict(schema)
    rest = {key: value for key, value in schema.items() if key != "$defs"}
    plain = _resolved(rest, definitions, ())
    return {**plain, "$defs": dict(definitions)} if _has_references(plain) else plain


def _resolved(value: Any, definitions: Mapping[str, Any], above: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_resolved(each, definitions, above) for each in value]
    if not isinstance(value, Mapping):
        return value
    name = str(value.get("$ref", "")).removeprefix("#/$defs/")
    rest = {key: _resolved(each, definitions, above) for key, each in value.items() if key != "$ref"}
    if name in definitions and name not in above:
        return {**_resolved(definitions[name], definitions, (*above, name)), **rest}
    return {**rest, "$ref": value["$ref"]} if "$ref" in value else rest


def _has_references(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "$ref" in value or any(_has_references(each) for each in value.values())
    return isinstance(value, list) and any(_has_references(each) for each in value)


def _schema_of(function: Callable[..., Any], name: str, field: str) -> dict[str, Any]:
    try:
        schema = inlined(arguments_model(function, name).model_json_schema())
    except Exception as error:
        raise InvalidInput(
            f"{field}: the parameters of {name} cannot be described to the model ({error}); give each a type of JSON "
            "values, such as str, int, bool, list[str] or a pydantic class",
            field=field,
        ) from error
    schema.pop("title", None)
    return schema


def _read_seconds(value: object, field: str) -> float:
    if value is None:
        return FUNCTION_SECONDS
    return read_number(value, f"{field}.timeout_seconds", above=0, at_most=LONGEST_FUNCTION_SECONDS)
