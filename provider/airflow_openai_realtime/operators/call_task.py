"""
What Airflow asks of every operator and sensor of this package: rendering, masking, label and link.

And which call a task was given, and what it does when that call is over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Protocol, get_args

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from airflow_openai_realtime.calls.parameters import CallReference, check_not_emptied, is_literal, read_call
from airflow_openai_realtime.exceptions import InvalidInput, SwitchboardError
from airflow_openai_realtime.hooks.session_secrets import hide_session_secrets
from airflow_openai_realtime.operators.call_link import CALL_ID_KEY, CallLink, label_of
from airflow_openai_realtime.operators.masked_fields import masked
from airflow_openai_realtime.operators.template_fields import TEXT_FIELDS, is_native, render_text

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.exceptions import OpenAIRealtimeError


class CallTask(BaseOperator):
    """
    Base of this package's operators and sensor, and the only class between them and Airflow's own.

    It has no parameters and does no work. Airflow calls what is here as methods of a task, by name: rendering, the
    label of a mapped task, the link, ``post_execute``. Everything else that operators share are functions.

    The last line of an ``__init__`` is ``self.note_given()``, the first of ``execute`` is ``self.check_given()``.

    Source: ``Templater`` in ``airflow/sdk/definitions/_internal/templater.py``, ``_prepare`` and
    ``_serialize_rendered_fields`` in ``airflow/sdk/execution_time/task_runner.py`` of Airflow 3.2.2 and 3.3.2.
    ``_do_render_template_fields`` is what plain and mapped tasks have in common there; a test fails when that changes.
    """

    openai_realtime_conn_id: str
    #: Template fields with phone numbers. Airflow stores and shows each template field right after rendering, so these
    #: have their masked text from then on; the task reads the value with :meth:`plain`. ``mask_secret`` is not used: it
    #: would make every number of a campaign a pattern that the worker's log is searched for from then on.
    masked_fields: ClassVar[Sequence[str]] = ()
    operator_extra_links: Any = (CallLink(),)
    ui_color = "#e8f3ee"
    #: OpenAI's id of the task's call; set when it is known.
    shown_call_id: str | None = None
    #: Id of the attempt from which the call is to come; set when it is known.
    shown_attempt_id: str | None = None
    #: Set when the task goes on waiting for a call in the triggerer.
    waits_for_call: bool = False

    #: Names of the parameters that were passed, before ``default_args`` are added.
    passed: frozenset[str] = frozenset()
    _given: Mapping[str, Any] = {}
    _plain_fields: Mapping[str, Any] = {}
    _rendered_field: str | None = None

    def __new__(cls, *_args: Any, **kwargs: Any) -> Any:
        task = super().__new__(cls)
        object.__setattr__(task, "passed", frozenset(kwargs))
        return task

    # -- for operators ------------------------------------------------------------------------------------------------

    def note_given(self) -> None:
        """Remember what the template fields were given, before anything is rendered."""
        mine = vars(self)
        self._given = {name: mine[name] for name in self.template_fields}

    def check_given(self) -> None:
        """
        Refuse a field that was given and that a template or another task's result made empty.

        :raises InvalidInput: There is one.
        """
        mine = vars(self)
        check_not_emptied(self._given, {name: mine[name] for name in self._given}, self.fields_from_tasks())

    def was_given(self, *names: str) -> bool:
        """
        Tell whether a template field was given a value, also where nothing is left of it now.

        :param names: Names of fields; one of them is enough.
        """
        from_tasks = self.fields_from_tasks()
        return any(self._given[name] is not None or name in from_tasks for name in names)

    def plain(self, name: str) -> Any:
        """
        Return a field as it was rendered, without a mask.

        :param name: Name of the field.
        """
        return self._plain_fields.get(name, vars(self)[name])

    def ignore_shared(self, names: Iterable[str], defaults: Mapping[str, Any] | None = None) -> None:
        """
        Ignore values from ``default_args`` that this task has no use for.

        Tasks share ``default_args``, and Airflow passes each task those that it has a parameter for. The checks refuse
        what an author gives to the task itself.

        :param names: Parameters that this task has no use for.
        :param defaults: Their values then; ``None`` for those that are left out.
        """
        for name in names:
            if name not in self.passed:
                setattr(self, name, (defaults or {}).get(name))

    def fields_from_tasks(self) -> frozenset[str]:
        """Return the parameters of this instance of a mapped task whose values other tasks returned; else none."""
        from airflow.sdk.definitions.mappedoperator import MappedOperator

        dag = self.get_dag()
        mapped = dag.task_dict.get(self.task_id) if dag is not None else None
        if not isinstance(mapped, MappedOperator):
            return frozenset()
        expanded = mapped._get_specified_expand_input().value
        if isinstance(expanded, Mapping):
            return frozenset(name for name, values in expanded.items() if hasattr(values, "resolve"))
        if not hasattr(expanded, "resolve") and not any(hasattr(row, "resolve") for row in expanded):
            return frozenset()
        return frozenset(name for name in self.passed if name not in mapped.partial_kwargs)

    def refuse_code_from_tasks(self, names: Collection[str]) -> None:
        """
        Refuse names of code that another task returned, by ``expand`` or ``expand_kwargs``.

        :param names: Parameters that name code.
        :raises InvalidInput: One of them came from another task.
        """
        came = sorted(set(names) & self.fields_from_tasks())
        if came:
            raise InvalidInput(
                f"{came[0]} names code to run and came from another task, so any user who may trigger a run could "
                "choose it: name the code in the DAG file, with partial() or in a list that is written there",
                field=came[0],
            )

    # -- for Airflow --------------------------------------------------------------------------------------------------

    @property
    def call_label(self) -> str:
        """
        What tells this mapped task from the others: contact and masked number, or the call's id.

        Never raises, since Airflow fails a task whose label cannot be rendered.
        """
        mine = vars(self)
        return label_of(mine.get("call"), mine.get("call_id") or self.shown_call_id)

    def post_execute(self, context: Context, result: Any = None) -> None:
        """
        Leave the call's id in XCom, so that ``call_id=accept.output["call_id"]`` works.

        Airflow reads such an argument as the name of an XCom, not as a key of the returned dict. It calls this when the
        task has succeeded.

        :param context: Airflow's.
        :param result: What the task returned.
        """
        if self.shown_call_id and self.do_xcom_push:
            context["ti"].xcom_push(key=CALL_ID_KEY, value=self.shown_call_id)

    def render_template(self, content: Any, context: Any, jinja_env: Any = None, seen_oids: Any = None) -> Any:
        """
        Render a value as Airflow does; text stays text, and credentials of MCP servers are masked in logs.

        :param content: The value, perhaps with templates at any depth.
        :param context: Airflow's.
        :param jinja_env: Environment of Jinja; the DAG's when left out.
        :param seen_oids: Ids of objects that are rendered already.
        """
        env = jinja_env or self.get_template_env()
        # What comes from another task is a value and no template, also when it has braces in it: Airflow lists it.
        if isinstance(content, str) and not (seen_oids and id(content) in seen_oids) and is_native(env):
            rendered = render_text(env, content, context, is_text=self._rendered_field in TEXT_FIELDS)
        else:
            rendered = super().render_template(content, context, env, seen_oids)
        hide_session_secrets(rendered)
        return rendered

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        if parent is not self:
            super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
            return
        # Values of an earlier rendering are rendered, not their masks.
        for name, value in self._plain_fields.items():
            setattr(self, name, value)
        for name in template_fields:
            self._rendered_field = name
            super()._do_render_template_fields(self, [name], context, jinja_env, seen_oids)
        self._rendered_field = None
        mine = vars(self)
        self._plain_fields = {name: mine[name] for name in self.masked_fields}
        for name, value in self._plain_fields.items():
            setattr(self, name, masked(value))


#: What to do when the call is over: the task succeeds, is skipped (and what follows with it), or fails.
IfGone = Literal["succeed", "skip", "fail"]


class TaskWithCall(Protocol):
    """A task with the parameters ``call`` and ``call_id``."""

    call: Any
    call_id: str | None
    passed: frozenset[str]
    shown_call_id: str | None
    log: Any

    def plain(self, name: str) -> Any:
        """
        Return a field without a mask.

        :param name: Name of the field.
        """

    def ignore_shared(self, names: Iterable[str]) -> None:
        """
        Ignore values from ``default_args``.

        :param names: Parameters that the task has no use for.
        """


def check_call(task: TaskWithCall, if_gone: object = "succeed") -> None:
    """
    Reject ``call`` and ``call_id`` together, and literals that name no call. One of the two may be from default_args.

    :param task: As it is made.
    :param if_gone: Its parameter of that name, where it has one.
    :raises InvalidInput: Both are given, or a value that needs no rendering cannot be used.
    """
    check_if_gone(if_gone)
    if task.call is not None and task.call_id is not None and task.passed & {"call", "call_id"}:
        task.ignore_shared(["call", "call_id"])
    if task.call is not None and task.call_id is not None:
        raise InvalidInput("give call or call_id, not both", field="call_id")
    if is_literal(task.call) and is_literal(task.call_id):
        read_call(task.call, task.call_id)


def check_if_gone(if_gone: object) -> None:
    """
    Reject an unknown ``if_gone``.

    :param if_gone: As it was given.
    :raises InvalidInput: It is none of :data:`IfGone`.
    """
    if if_gone not in get_args(IfGone):
        raise InvalidInput(f"if_gone must be one of {', '.join(get_args(IfGone))}; it is {if_gone!r}", field="if_gone")


def call_of(task: TaskWithCall) -> CallReference:
    """
    Return which call a task was given, and let its link lead there.

    :param task: Rendered.
    :raises InvalidInput: There is none.
    """
    reference = read_call(task.plain("call"), task.call_id)
    if reference is None:
        raise InvalidInput(
            "there is no call: give call (the result of IncomingCallSensor) or call_id. If the task before may be "
            "skipped, let this one be skipped too (trigger_rule all_success)",
            field="call",
        )
    task.shown_call_id = reference.call_id
    return reference


def settle_gone(if_gone: IfGone, error: OpenAIRealtimeError, log: Any) -> None:
    """
    Do what ``if_gone`` says about a call that is over.

    :param if_gone: As it was given.
    :param error: Why the call is known to be over; raised with ``fail``.
    :param log: The task's.
    :raises AirflowSkipException: With ``skip``.
    """
    if if_gone == "fail":
        raise error
    if if_gone == "skip":
        skip(f"{error} (if_gone='skip')", log)
    log.info("%s (if_gone='succeed')", error)


def skip(message: str, log: Any) -> NoReturn:
    """
    Skip a task.

    :param message: Why; it is logged.
    :param log: The task's.
    :raises AirflowSkipException: Always.
    """
    log.info("%s", message)
    raise AirflowSkipException(message)


def report_done(report: Callable[[], object], call_id: str, log: Any) -> None:
    """
    Report to the switchboard what was done; when it cannot be reached, what was done stays done.

    :param report: The request.
    :param call_id: The call.
    :param log: The task's.
    """
    try:
        report()
    except SwitchboardError as error:
        log.warning("Could not report to the switchboard about call %s: %s", call_id, error)
