"""Test a whole call with simulated phones: ``python -m pytest docs/samples``."""

# ruff: noqa: S101

# [START whole_call]
from airflow_openai_realtime.simulator import Dialogue, Move, PhoneScript, Reply

NUMBER = "+14155550101"


def test_somebody_answers_the_question(airflow_db, realtime_airflow):
    dialogue = Dialogue([Reply("How was it?"), Reply.calls("record_result", {"score": 5})], [Move.says("Five.")])
    realtime_airflow.simulator.phones.add(NUMBER, PhoneScript.answers(talks_for_seconds=5, dialogue=dialogue))
    run = realtime_airflow.run("example_survey_call", number=NUMBER)
    assert run.results["call"]["result"] == {"score": 5}
    assert not realtime_airflow.simulator.log.open_calls()


# [END whole_call]


# [START not_answered]
def test_a_busy_phone_is_rung_again(airflow_db, realtime_airflow):
    realtime_airflow.simulator.phones.add(NUMBER, PhoneScript.busy(), PhoneScript.answers(talks_for_seconds=2))
    run = realtime_airflow.run("example_follow_up", number=NUMBER, again_after_minutes=0)
    assert run.results["call"]["outcome"] == "busy"
    assert run.results["call_again"]["outcome"] == "caller_hung_up"
    assert (run.states["open_ticket"], len(realtime_airflow.simulator.log.dials(NUMBER))) == ("skipped", 2)


# [END not_answered]
