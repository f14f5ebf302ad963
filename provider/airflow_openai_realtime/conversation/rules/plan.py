"""
The plan of a conversation: checked before the call, and fixed during it.

A plan may hold phone numbers of transfer targets and personal data from the DAG author, so triggers get it encrypted;
see :mod:`airflow_openai_realtime.calls.sealing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

FUNCTION_SECONDS = 10.0
SILENCE_SECONDS = 60.0


@dataclass(frozen=True)
class FunctionSpec:
    """
    A Python function that the model may call; it runs in the triggerer.

    :param name: Name under which the model calls it: 1 to 64 letters, digits, ``_`` and ``-``.
    :param path: Import path: ``package.module.function``.
    :param description: When and how to call it, for the model.
    :param parameters: JSON schema of its arguments, an object.
    :param timeout_seconds: Longest run in seconds, above 0. The caller waits meanwhile.
    :param wants_call: Whether it has a parameter ``call``, which gets the call as a dict.
    """

    name: str
    path: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    timeout_seconds: float = FUNCTION_SECONDS
    wants_call: bool = False


@dataclass(frozen=True)
class TransferTarget:
    """
    A target to which the model may transfer the call.

    :param target_uri: ``tel:+14155550123`` or ``sip:agent@example.com``.
    :param description: Who answers there and when to transfer the call, for the model.
    """

    target_uri: str = field(repr=False)
    description: str = ""


@dataclass(frozen=True)
class ConversationPlan:
    """
    The plan of a conversation.

    :param greeting: What the model says first; ``None``: it waits for the caller to speak.
    :param silence_seconds: Seconds of silence, above 0, after which the call is hung up. Time in which the model speaks
        or a function runs does not count. ``None``: no limit.
    :param end_call: Whether the model may end the call when the conversation is over.
    :param goodbye: What the model says a few seconds before the time is over; ``None``: nothing, the call is cut off.
    :param result_schema: JSON schema, an object, of the result that the model records; ``None``: no result.
    :param result_model: Import path of a pydantic class that checks the record after the schema; ``None``: none.
    :param functions: Functions that the model may call.
    :param transfer_targets: Transfer targets by name.
    """

    greeting: str | None = field(default=None, repr=False)
    silence_seconds: float | None = SILENCE_SECONDS
    end_call: bool = True
    goodbye: str | None = field(default=None, repr=False)
    result_schema: Mapping[str, Any] | None = None
    result_model: str | None = None
    functions: tuple[FunctionSpec, ...] = ()
    transfer_targets: Mapping[str, TransferTarget] = field(default_factory=dict)

    @classmethod
    def only_listening(cls) -> ConversationPlan:
        """Make the plan for a call that another client controls: listen, save the timeline, hang up at its time."""
        return cls(silence_seconds=None, end_call=False)

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives."""
        return {**asdict(self), "functions": [asdict(each) for each in self.functions]}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> ConversationPlan:
        """
        Read what :meth:`to_dict` wrote; unknown keys are ignored.

        :param value: JSON object.
        """
        known = {each.name for each in fields(cls)}
        given = {key: item for key, item in value.items() if key in known}
        given["functions"] = tuple(FunctionSpec(**each) for each in value.get("functions") or ())
        targets = value.get("transfer_targets") or {}
        given["transfer_targets"] = {name: TransferTarget(**target) for name, target in targets.items()}
        return cls(**given)
