"""
How the template fields of this package's operators and sensors are rendered, and what must not come out empty.

Text stays text: with ``render_template_as_native_obj=True`` Airflow evaluates what a template renders to as Python, so
that ``"+14155550123"`` and ``"0x1F"`` become numbers, and text in brackets a list. Here a field of text is rendered as
without that setting. In the other fields an object that a template names (a dict, a list, a
number) stays that object, and text is not evaluated.

Source: ``Templater`` and ``MappedOperator.render_template_fields`` in Airflow 3.2.2 and 3.3.2, read 2026-11-30.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.calls.given import check_not_emptied
from airflow_openai_realtime.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

#: Fields of text, also of text inside lists and dicts.
TEXT_FIELDS = frozenset(
    {
        "call_id",
        "caller_fields",
        "campaign",
        "contact",
        "from_number",
        "goodbye",
        "greeting",
        "headers",
        "instructions",
        "model",
        "name",
        "openai_realtime_conn_id",
        "order",
        "reasoning_effort",
        "target_uri",
        "telephony_carrier_conn_id",
        "to",
        "transcript_path",
        "transcription_language",
        "transcription_model",
        "transfer_to",
        "trigger_dag_id",
        "voice",
    }
)


class RenderedTask:
    """
    For operators and sensors of this package; goes before Airflow's own base.

    The last line of an ``__init__`` is ``self._written = as_written(self)``, the first of ``execute`` is
    ``check_rendered(self)``.
    """

    template_fields: Collection[str]
    #: The parameters that were passed, before defaults are added.
    _passed: frozenset[str] = frozenset()
    _written: Mapping[str, Any] = {}
    _field: str | None = None

    def __new__(cls, *_args: Any, **kwargs: Any) -> Any:
        task = super().__new__(cls)
        object.__setattr__(task, "_passed", frozenset(kwargs))
        return task

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        # Airflow's name for what plain and mapped tasks both go through; a test fails when that changes.
        for name in template_fields:
            if parent is self:
                self._field = name
            super()._do_render_template_fields(parent, [name], context, jinja_env, seen_oids)  # type: ignore[misc]
        if parent is self:
            self._field = None

    def render_template(self, content: Any, context: Any, jinja_env: Any = None, seen_oids: Any = None) -> Any:
        """Render a value as Airflow does; text stays text."""
        env = jinja_env or self.get_template_env()  # type: ignore[attr-defined]
        # What comes from another task is a value and no template, also when it has braces in it: Airflow lists it.
        if isinstance(content, str) and not (seen_oids and id(content) in seen_oids) and _is_native(env):
            return render_text(env, content, context, is_text=self._field in TEXT_FIELDS)
        return super().render_template(content, context, env, seen_oids)  # type: ignore[misc]


def as_written(task: BaseOperator) -> dict[str, Any]:
    """
    Return what a task was given for its template fields.

    :param task: Before anything is rendered.
    """
    return {name: getattr(task, name) for name in task.template_fields}


def check_rendered(task: Any) -> None:
    """
    Refuse a field that was given, and that a template or another task's result made empty.

    :param task: Rendered; its ``_written`` is what :func:`as_written` returned.
    :raises InvalidInput: There is one.
    """
    rendered = {name: getattr(task, name) for name in task._written}
    check_not_emptied(task._written, rendered, mapped_from_tasks(task))


def mapped_from_tasks(task: Any) -> frozenset[str]:
    """
    Return the parameters of one instance of a mapped task whose values other tasks returned.

    :param task: The instance, as it runs; for a task that is not mapped there are none.
    """
    original = _mapped_original(task)
    if original is None:
        return frozenset()
    expanded = original._get_specified_expand_input().value
    if isinstance(expanded, Mapping):
        return frozenset(name for name, values in expanded.items() if hasattr(values, "resolve"))
    if not hasattr(expanded, "resolve") and not any(hasattr(row, "resolve") for row in expanded):
        return frozenset()
    return frozenset(name for name in task._passed if name not in original.partial_kwargs)


def drop_shared_defaults(task: Any, names: Iterable[str], defaults: Mapping[str, Any] | None = None) -> None:
    """
    Ignore values from ``default_args`` that this task has no use for.

    Tasks share ``default_args``, and Airflow passes each task those that it has a parameter for. The checks refuse what
    an author gives to the task itself.

    :param task: Before its checks.
    :param names: Parameters that this task has no use for.
    :param defaults: Their values then; ``None`` for those that are left out.
    """
    for name in names:
        if name not in task._passed:
            setattr(task, name, (defaults or {}).get(name))


def refuse_code_from_tasks(task: Any, names: Collection[str]) -> None:
    """
    Refuse names of code that another task returned, by ``expand`` or ``expand_kwargs``.

    :param task: As it runs.
    :param names: Its parameters that name code.
    :raises InvalidInput: One of them came from another task.
    """
    came = sorted(set(names) & mapped_from_tasks(task))
    if came:
        raise InvalidInput(
            f"{came[0]} names code to run and came from another task, so any user who may trigger a run could "
            "choose it: name the code in the DAG file, with partial() or in a list that is written there",
            field=came[0],
        )


def render_text(env: Any, template: str, context: Any, *, is_text: bool) -> Any:
    """
    Render a template without evaluating the text that it renders to.

    :param env: A native environment of Jinja.
    :param template: The template.
    :param context: Airflow's.
    :param is_text: Whether the answer is text in any case. Otherwise a template of one expression gives its object.
    """
    import jinja2

    compiled = env.from_string(template)
    # Airflow's context looks some values up when they are asked for; so it is not made a dict.
    known = copy.copy(context)
    known.update((name, value) for name, value in compiled.globals.items() if name not in known)
    try:
        pieces = list(compiled.root_render_func(env.context_class(env, known, compiled.name, compiled.blocks)))
    except Exception:
        env.handle_exception()
    if len(pieces) == 1 and not is_text and not isinstance(pieces[0], jinja2.Undefined):
        return pieces[0]
    return "".join(map(str, pieces))


def _is_native(env: Any) -> bool:
    from jinja2.nativetypes import NativeEnvironment

    return isinstance(env, NativeEnvironment)


def _mapped_original(task: Any) -> Any:
    """Return the mapped task that a running task is one instance of; ``None``: it is not mapped."""
    dag = task.get_dag()
    original = dag.task_dict.get(task.task_id) if dag is not None else None
    return original if hasattr(original, "_get_specified_expand_input") else None
