"""What is to happen in a call, by the names that operators give it. Light: DAG files are parsed with this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.calls.parameters import is_literal, read_mapping
from airflow_openai_realtime.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation

#: Default of ``silence_seconds``.
SILENCE_SECONDS = 60.0
#: Fields that name code to import. A template would let any user who may trigger a run choose it.
NAMES_OF_CODE = ("result_model", "functions")
TRANSCRIPT_SUFFIXES = (".json", ".txt")
_NOWHERE = (None, "", "None")


@dataclass(frozen=True)
class ConversationParameters:
    """
    What is to happen in a call, by the names that operators give it; perhaps with templates.

    :param greeting: What the model says first, at most 2,000 characters; ``None``: it waits until the caller speaks.
    :param silence_seconds: The call is hung up when neither side has spoken for so long, in seconds above 0, at most
        3,600; ``None``: no limit.
    :param end_call: Whether the model may end the call itself when the conversation is over.
    :param goodbye: What the model says some seconds before the time is over, at most 2,000 characters; ``None``: the
        call is cut off.
    :param result_model: What the call is to find out: a pydantic class, its import path, or a JSON schema of an object.
        The model records it; it is in the result.
    :param functions: What the model may call: functions, their import paths, or dicts of ``path``, ``name``,
        ``description`` and ``timeout_seconds``. They run in the triggerer, so they stand in a module that it can
        import.
    :param transfer_to: Where the model may transfer the call to: for each name a ``tel:`` or ``sip:`` URI, or a dict of
        ``target_uri`` and ``description``.
    :param prices: Own prices for the estimate of the cost, US dollars by model.
    :param transcript_path: Where to write the transcript: a file (``….json`` or ``….txt``) or a folder (ends with
        ``/``), for example ``s3://aws_default@bucket/calls/``.
    """

    greeting: Any = None
    silence_seconds: Any = SILENCE_SECONDS
    end_call: Any = True
    goodbye: Any = None
    result_model: Any = None
    functions: Any = None
    transfer_to: Any = None
    prices: Any = None
    transcript_path: Any = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> ConversationParameters:
        """
        Pick the parameters from among others.

        :param values: By name, for example ``vars(task)``; all fields of this class are there.
        """
        return cls(**{name: values[name] for name in CONVERSATION_FIELDS})

    def changed_from(self, default: ConversationParameters) -> list[str]:
        """
        Return the names of the fields that differ.

        :param default: What an operator has when nothing is given.
        """
        mine, others = vars(self), vars(default)
        return [name for name in CONVERSATION_FIELDS if mine[name] != others[name]]

    def check_literals(self) -> None:
        """
        Reject invalid literals at parse time. Imports no code of the author's.

        :raises InvalidInput: A value that needs no rendering cannot be used, or a name of code would need it.
        """
        mine = vars(self)
        for name in NAMES_OF_CODE:
            if not is_literal(mine[name]):
                raise InvalidInput(
                    f"{name} names code to run, so it is not templated, and no other task can give it: name the code "
                    "in the DAG file",
                    field=name,
                )
        from airflow_openai_realtime.conversation.conversation_parameters import check_conversation_literals

        check_conversation_literals(mine)
        if is_literal(self.prices):
            self.price_table()
        if is_literal(self.transcript_path):
            self.transcript_target()

    def wanted(self) -> WantedConversation:
        """
        Read everything, rendered; imports what is named by a path.

        :raises InvalidInput: A value cannot be used.
        """
        from airflow_openai_realtime.conversation.conversation_parameters import read_conversation_plan
        from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation

        self.transcript_target()
        return WantedConversation(read_conversation_plan(vars(self)), self.price_table())

    def price_table(self) -> Mapping[str, Mapping[str, Any]] | None:
        """
        Read the author's own prices; ``None``: the package's.

        :raises InvalidInput: They cannot be used.
        """
        given = read_mapping(self.prices, "prices")
        if given is None:
            return None
        from airflow_openai_realtime.calls.timeline.usage import check_prices

        return check_prices(given)

    def transcript_target(self) -> str | None:
        """
        Read where the transcript goes; ``None``, also as rendered text, or empty: nowhere.

        :raises InvalidInput: It is neither a folder (with ``/`` at its end) nor a ``.json`` or ``.txt`` file.
        """
        if self.transcript_path in _NOWHERE:
            return None
        path = str(self.transcript_path).strip()
        if not path.endswith(("/", *TRANSCRIPT_SUFFIXES)):
            raise InvalidInput(
                f"transcript_path must end with {', '.join(TRANSCRIPT_SUFFIXES)} or, for a folder, with /; it is "
                f"{path!r:.200}",
                field="transcript_path",
            )
        return path

    def offered_tools(self) -> tuple[str, ...]:
        """
        Return the names of all tools that the conversation may add to a session. Imports no code of the author's.

        :raises InvalidInput: A function cannot be used.
        """
        from airflow_openai_realtime.conversation.conversation_parameters import offered_names

        return offered_names(self.functions)


#: Names of all parameters of :class:`ConversationParameters`, and of those that may be templated.
CONVERSATION_FIELDS = tuple(field.name for field in fields(ConversationParameters))
TEMPLATED_CONVERSATION_FIELDS = tuple(name for name in CONVERSATION_FIELDS if name not in NAMES_OF_CODE)
