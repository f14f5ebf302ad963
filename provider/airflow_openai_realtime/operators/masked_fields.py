"""Rendered fields in which phone numbers stand: the task works with them, Airflow keeps and shows them masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_openai_realtime.api.phone_numbers import mask_number, mask_numbers

_SHORTEST_NUMBER = 10_000_000


class MaskedFields:
    """
    For tasks with template fields that hold phone numbers.

    Airflow stores the value of each template field right after rendering, and shows it under *Rendered Templates* to
    everybody who may read the task. So a field of ``masked_fields`` has its masked text from then on; the task itself
    reads the value with :meth:`_plain`. Secrets masking (``mask_secret``) is not used: it would make every number of a
    campaign a pattern that the worker's log is searched for from then on.

    Source: ``_prepare`` and ``_serialize_rendered_fields`` in ``airflow/sdk/execution_time/task_runner.py`` of Airflow
    3.2.2 and 3.3.2: fields are read with ``getattr`` after ``render_templates``. ``_do_render_template_fields`` is what
    plain and mapped tasks have in common there.
    """

    #: Names of the template fields.
    masked_fields: Sequence[str] = ()
    _plain_fields: Mapping[str, Any] = {}

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        # Values of an earlier rendering are rendered, not their masks.
        for name, value in self._plain_fields.items():
            setattr(self, name, value)
        self._plain_fields = {}
        super()._do_render_template_fields(parent, *args, **kwargs)  # type: ignore[misc]
        if parent is self:
            self._mask_fields()

    def _mask_fields(self) -> None:
        plain = {name: getattr(self, name) for name in self.masked_fields}
        self._plain_fields = plain
        for name, value in plain.items():
            setattr(self, name, masked(value))

    def _plain(self, name: str) -> Any:
        """Return a field as it was rendered."""
        return self._plain_fields.get(name, getattr(self, name))


def masked(value: Any) -> Any:
    """Mask every phone number in a value, at any depth of dicts and lists."""
    if isinstance(value, str):
        return mask_numbers(value)
    if isinstance(value, Mapping):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    if isinstance(value, int) and value >= _SHORTEST_NUMBER:
        return mask_number(str(value))  # what native rendering makes of a number
    return value
