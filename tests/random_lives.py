"""
Calls with random lives, and what must come out of each: for tests with many calls at once.

What the person and the model do is drawn; what follows from it is written beside it. It holds for any owner that runs
the call as this package's operators do: greets, answers tool calls, hangs up when ``end_call`` is called, after a
silence, or when the time is over. With ``rng = random.Random(7)`` the same lives come each time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_openai_realtime.simulator.dialogue import Dialogue, Reply
from airflow_openai_realtime.simulator.faults import Fault
from airflow_openai_realtime.simulator.moves import Move
from airflow_openai_realtime.simulator.phones import PhoneScript

_WORDS = ("yes", "no", "maybe", "tomorrow", "please", "thanks", "order", "table", "seven", "address", "wrong", "Monday")


@dataclass(frozen=True)
class LifeTools:
    """
    The tools that the calls have. None: there is no such tool, and no life that needs it.

    :param end_call: Ends the call.
    :param record_result: Takes the result.
    :param result: Arguments of a valid result.
    :param wrong_result: Arguments that the result's schema refuses.
    :param transfer: Transfers the call.
    :param transfer_arguments: Arguments for that.
    :param greets: Whether the owner of the call lets the model speak first.
    """

    end_call: str | None = "end_call"
    record_result: str | None = "record_result"
    result: Mapping[str, Any] = field(default_factory=lambda: {"agreed": True})
    wrong_result: Mapping[str, Any] = field(default_factory=lambda: {"agreed": "perhaps"})
    transfer: str | None = "transfer_call"
    transfer_arguments: Mapping[str, Any] = field(default_factory=lambda: {"target": "desk"})
    greets: bool = True


@dataclass(frozen=True)
class RandomLife:
    """
    One life, and what must come out of it.

    :param kind: Its name in :data:`KINDS`.
    :param script: The person, for ``call_in`` or ``phones.add``.
    :param ended_by: What the log's row will say.
    :param outcomes: Outcomes of the call that are right; mostly one.
    :param caller_said: What the person says, in order. When ``endless`` it begins so, and goes on.
    :param keys: What they press.
    :param tools: Tools that the model calls, in order.
    :param result: Arguments of the last ``record_result``.
    :param fault: To be set with ``faults.add`` before the call, with the person's ``number``.
    :param endless: Whether the person goes on until the call is ended.
    """

    kind: str
    script: PhoneScript
    ended_by: str
    outcomes: frozenset[str]
    caller_said: tuple[str, ...] = ()
    keys: str = ""
    tools: tuple[str, ...] = ()
    result: Mapping[str, Any] | None = None
    fault: Fault | None = None
    endless: bool = False


def random_script(rng: random.Random, *, kind: str | None = None, tools: LifeTools | None = None) -> RandomLife:
    """
    A random life.

    :param rng: Where chance comes from.
    :param kind: One of :data:`KINDS`; None: any that the tools allow.
    :param tools: The tools that the calls have.
    """
    tools = tools or LifeTools()
    life = KINDS[kind or rng.choice(kinds_with(tools))](rng, tools)
    return life if tools.greets or not life.tools else _without_greeting(life)


def kinds_with(tools: LifeTools) -> list[str]:
    """
    Kinds of life that are possible with some tools.

    :param tools: The tools that the calls have.
    """
    lacking = {
        "ends_call": not tools.end_call,
        "agrees_then_hangs_up": not tools.record_result,
        "agrees_at_second_try": not (tools.record_result and tools.end_call),
        "is_transferred": not tools.transfer,
    }
    return [kind for kind in KINDS if not lacking.get(kind, False)]


def _hangs_up(rng: random.Random, tools: LifeTools) -> RandomLife:
    return _life(rng, "hangs_up", [*_talk(rng), *_keys(rng), _goodbye(rng)], "caller", "caller_hung_up")


def _hangs_up_on_late_words(rng: random.Random, tools: LifeTools) -> RandomLife:
    """The last transcripts come too late, or not at all."""
    lost = [Move.says(_words(rng), transcript="failed"), Move.says(_words(rng), transcript_after_seconds=60)]
    moves = [*_talk(rng), *lost, _goodbye(rng)]
    return _life(rng, "hangs_up_on_late_words", moves, "caller", "caller_hung_up")


def _interrupts(rng: random.Random, tools: LifeTools) -> RandomLife:
    moves = [Move.interrupts(_words(rng), after_seconds=rng.uniform(0.05, 0.6)), *_talk(rng), _goodbye(rng)]
    return _life(rng, "interrupts", moves, "caller", "caller_hung_up")


def _loses_sockets(rng: random.Random, tools: LifeTools) -> RandomLife:
    moves = [*_talk(rng), Move.socket_breaks(after_seconds=rng.uniform(0, 0.5)), *_talk(rng)]
    # Time to attach again: who hangs up meanwhile is noticed all the same, but not what was said.
    moves += [Move.waits(rng.uniform(1, 2)), _goodbye(rng)]
    return _life(rng, "loses_sockets", moves, "caller", "caller_hung_up")


def _leaves_at_once(rng: random.Random, tools: LifeTools) -> RandomLife:
    """Gone before, while or just after a process attaches: each is a right answer."""
    moves = [Move.hangs_up(when="anyway", after_seconds=rng.uniform(0, 0.2))]
    life = _life(rng, "leaves_at_once", moves, "caller", "gone", "caller_hung_up")
    return replace(life, script=replace(life.script, dialogue=replace(life.script.dialogue, starts="accepted")))


def _ends_call(rng: random.Random, tools: LifeTools) -> RandomLife:
    name = tools.end_call or ""
    moves = _talk(rng, least=1)
    calls = [Reply.calls(name, {}, text=_words(rng))]
    return _life(rng, "ends_call", moves, "api_hangup", "completed", replies=calls, tools=(name,))


def _agrees_then_hangs_up(rng: random.Random, tools: LifeTools) -> RandomLife:
    name = tools.record_result or ""
    moves = [*_talk(rng, least=1), _goodbye(rng)]
    life = _life(
        rng,
        "agrees_then_hangs_up",
        moves,
        "caller",
        "completed",
        replies=[Reply.calls(name, tools.result)],
        tools=(name,),
    )
    return replace(life, result=tools.result)


def _agrees_at_second_try(rng: random.Random, tools: LifeTools) -> RandomLife:
    name, end = tools.record_result or "", tools.end_call or ""
    replies = [Reply.calls(name, tools.wrong_result), Reply.calls(name, tools.result), Reply.calls(end, {})]
    life = _life(
        rng,
        "agrees_at_second_try",
        _talk(rng, least=1),
        "api_hangup",
        "completed",
        replies=replies,
        tools=(name, name, end),
    )
    return replace(life, result=tools.result)


def _is_transferred(rng: random.Random, tools: LifeTools) -> RandomLife:
    name = tools.transfer or ""
    calls = [Reply.calls(name, tools.transfer_arguments)]
    return _life(
        rng, "is_transferred", _talk(rng, least=1), "transfer", "transfer_requested", replies=calls, tools=(name,)
    )


def _falls_silent(rng: random.Random, tools: LifeTools) -> RandomLife:
    return _life(rng, "falls_silent", _talk(rng), "api_hangup", "silence")


def _never_stops(rng: random.Random, tools: LifeTools) -> RandomLife:
    life = _life(rng, "never_stops", _talk(rng, least=1), "api_hangup", "max_duration")
    dialogue = replace(life.script.dialogue, repeats=True)
    return replace(life, script=replace(life.script, dialogue=dialogue), endless=True)


def _expires(rng: random.Random, tools: LifeTools) -> RandomLife:
    moves = [*_talk(rng), Move.session_expires(after_seconds=rng.uniform(0.1, 1))]
    return _life(rng, "expires", moves, "session_limit", "max_duration")


def _breaks_down(rng: random.Random, tools: LifeTools) -> RandomLife:
    seconds = rng.uniform(0.1, 1)
    error = Move.session_error("server_error", "The server had an error.", fatal=True, after_seconds=seconds)
    moves = [*_talk(rng), error]
    return _life(rng, "breaks_down", moves, "session_error", "failed")


def _is_born_dead(rng: random.Random, tools: LifeTools) -> RandomLife:
    life = _life(rng, "is_born_dead", [], "dead_session", "gone")
    return replace(life, fault=Fault("accept", "dead_session"))


KINDS: Mapping[str, Callable[[random.Random, LifeTools], RandomLife]] = {
    "hangs_up": _hangs_up,
    "hangs_up_on_late_words": _hangs_up_on_late_words,
    "interrupts": _interrupts,
    "loses_sockets": _loses_sockets,
    "leaves_at_once": _leaves_at_once,
    "ends_call": _ends_call,
    "agrees_then_hangs_up": _agrees_then_hangs_up,
    "agrees_at_second_try": _agrees_at_second_try,
    "is_transferred": _is_transferred,
    "falls_silent": _falls_silent,
    "never_stops": _never_stops,
    "expires": _expires,
    "breaks_down": _breaks_down,
    "is_born_dead": _is_born_dead,
}
"""All kinds of life."""


def _life(
    rng: random.Random,
    kind: str,
    moves: list[Move],
    ended_by: str,
    *outcomes: str,
    replies: list[Reply] | None = None,
    tools: tuple[str, ...] = (),
) -> RandomLife:
    # One reply greets, one answers each thing said but the last; what the model calls comes after that.
    spoken = tuple(move.text for move in moves if move.kind == "says")
    small_talk = tuple(Reply(_words(rng), thinks_seconds=rng.uniform(0.1, 0.5)) for _ in range(max(1, len(spoken))))
    script = PhoneScript.talks_for_ever(
        after_seconds=rng.uniform(0, 1), dialogue=Dialogue((*small_talk, *(replies or ())), tuple(moves))
    )
    keys = "".join(move.keys for move in moves)
    return RandomLife(kind, script, ended_by, frozenset(outcomes), spoken, keys, tools)


def _without_greeting(life: RandomLife) -> RandomLife:
    """The first reply was the greeting: the model calls its tools when the last word was said, not later."""
    dialogue = replace(life.script.dialogue, replies=life.script.dialogue.replies[1:])
    return replace(life, script=replace(life.script, dialogue=dialogue))


def _talk(rng: random.Random, *, least: int = 0) -> list[Move]:
    return [Move.says(_words(rng), after_seconds=rng.uniform(0.1, 0.8)) for _ in range(rng.randint(least, 3))]


def _keys(rng: random.Random) -> list[Move]:
    return [Move.presses("".join(rng.choices("0123456789*#", k=rng.randint(1, 4))))] if rng.random() < 0.5 else []


def _goodbye(rng: random.Random) -> Move:
    return Move.hangs_up(after_seconds=rng.uniform(0.3, 1))


def _words(rng: random.Random) -> str:
    return " ".join(rng.choices(_WORDS, k=rng.randint(1, 5)))
