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
from typing import Any

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


def is_native(env: Any) -> bool:
    """
    Tell whether an environment of Jinja makes objects of the text that it renders.

    :param env: The environment.
    """
    from jinja2.nativetypes import NativeEnvironment

    return isinstance(env, NativeEnvironment)
