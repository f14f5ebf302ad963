"""The example that calls missed callers back."""

from __future__ import annotations

from pathlib import Path

from airflow_world import CALLER, RING_SECONDS, World

from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.testing.local_airflow import RealtimeAirflow

DAG_ID, NUMBER = "example_missed_calls", "+14155550104"
EXAMPLES = Path(__file__).parents[2] / "example_dags"


def test_a_missed_caller_is_called_back_once_however_many_runs_see_the_call(world: World, airflow_db: Path) -> None:
    airflow = RealtimeAirflow(world.simulator, world.url, EXAMPLES)
    missed = [world.ring(CALLER, NUMBER), world.ring(CALLER, NUMBER), world.ring("+14155550199", "+14155550100")]
    world.let_pass(RING_SECONDS + 60)
    assert world.simulator.wait_for(lambda: {world.row(each).state for each in missed} == {"missed"})
    world.let_pass(-RING_SECONDS - 60)  # by a clock that is ahead, the webhook of the call back would be late
    world.simulator.phones.add(CALLER, PhoneScript.answers(talks_for_seconds=2))
    attempts = set()
    for _ in range(2):
        run = airflow.run(airflow.dag(DAG_ID), ring_out_seconds=0)
        assert run.state == "success"
        assert run.results["missed"] == [CALLER]
        assert run.results["call_back"]["outcome"] == "caller_hung_up"
        attempts.add(run.results["call_back"]["attempt_id"])
    assert len(attempts) == 1
    assert len(world.simulator.log.dials(CALLER)) == 1


def test_where_no_call_was_missed_no_phone_rings(world: World, airflow_db: Path) -> None:
    world.ring(CALLER, NUMBER)
    airflow = RealtimeAirflow(world.simulator, world.url, EXAMPLES)
    run = airflow.run(airflow.dag(DAG_ID), ring_out_seconds=0)
    assert (run.results["missed"], run.states["call_back"]) == ([], "skipped")
    assert world.simulator.log.dials(CALLER) == []
