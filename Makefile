# Everything README and CI call. Needs Python 3.10+, make and git; `make demo` and `make test` set up the rest.
PYTHON ?= python3
# A version, or a series such as 3.4 for its newest release, pre-releases included.
AIRFLOW ?= 3.3.2
VENV ?= .venv
RUN = $(VENV)/bin/python
# The tests of what meets Airflow.
MEETS_AIRFLOW = tests/unit/hooks tests/unit/operators tests/unit/sensors tests/unit/triggers tests/unit/testing \
	tests/unit/test_example_*.py tests/unit/test_plugin.py tests/unit/test_provider_info.py tests/unit/test_schedules.py \
	tests/unit/test_what_callers_and_the_model_bring.py tests/unit/switchboard/test_mounted.py tests/unit/ui \
	tests/contract/test_airflow_scheduling.py tests/contract/test_calls_page_in_airflow.py \
	tests/architecture/test_import_cost.py tests/architecture/test_shared_threads.py tests/system/test_wheel.py

.PHONY: help setup demo test test-airflow test-postgres coverage lint bench trips chaos fuzz simulator switchboard docs format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.ready  ## make the virtual environment
$(VENV)/.ready: pyproject.toml constraints/airflow-$(AIRFLOW).txt
	sh scripts/setup.sh "$(PYTHON)" "$(VENV)" "$(AIRFLOW)"

demo: setup  ## run a callback campaign in a real Airflow against the simulator (KEEP=1 leaves it up)
	$(RUN) -m demo $(if $(KEEP),--keep)

test: setup  ## all tests that need no PostgreSQL
	$(RUN) -m pytest -n 4 -m "not postgres and not chaos and not system"
	$(RUN) -m pytest tests/system -m "not chaos"
	$(RUN) -m pytest docs/samples

# Of events Airflow 3.4 makes runs in another way, which only its real scheduler shows.
test-airflow: setup  ## the tests of what meets Airflow, for other versions (AIRFLOW=3.4 VENV=.venv-3.4)
	$(RUN) -m pytest -n 4 -m "not postgres and not chaos" $(MEETS_AIRFLOW)
	$(if $(filter 3.4%,$(AIRFLOW)),$(RUN) -m pytest tests/system/test_event_driven_dags.py)

test-postgres: setup  ## the tests that need PostgreSQL (its binaries; a private cluster is started)
	$(RUN) -m pytest -n 4 -m postgres

# Apart from `make test`, since counting lines makes the tests slower: on Python 3.11 every line is traced.
coverage: setup  ## fail when the tests reach less of the package than pyproject.toml says; report in build/coverage/html
	rm -rf build/coverage && mkdir -p build/coverage
	$(RUN) -m coverage run -m pytest -n 4 -m "not postgres and not chaos and not system"
	$(RUN) -m coverage combine --quiet
	$(RUN) -m coverage html --quiet
	$(RUN) -m coverage report

lint: setup  ## ruff, mypy, and the checks of docs, docstrings and generated files
	$(RUN) -m ruff check . && $(RUN) -m ruff format --check . && $(RUN) -m mypy
	$(RUN) -m scripts.check_docs
	$(RUN) -m scripts.check_docstrings
	$(RUN) -m scripts.check_voice
	$(RUN) -m scripts.draw_architecture --check
	$(RUN) -m scripts.write_provider_yaml --check

format: setup  ## let ruff fix what it can
	$(RUN) -m ruff check --fix . && $(RUN) -m ruff format .

bench: setup  ## measure; prints a table and writes build/bench.json (NAMES=... for some only; needs PostgreSQL)
	$(RUN) -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(RUN) -m bench $(NAMES)

trips: setup  ## count how often a reader changes files on five trips through the package; writes build/trips.json
	$(RUN) scripts/count_trips.py

chaos: setup  ## kill and fault tests with real processes (CHAOS_TRIALS=10 of each, CHAOS_SEED=1 for a certain timing)
	$(RUN) -m pytest tests/chaos

fuzz: setup  ## hostile requests to every route of the switchboard (FUZZ_REQUESTS=20000, FUZZ_SEED=1 for certain ones)
	FUZZ_REQUESTS=$${FUZZ_REQUESTS:-20000} $(RUN) -m pytest tests/fuzz -m "not chaos"

simulator: setup  ## OpenAI, a carrier and phones on this machine
	$(RUN) -m airflow_openai_realtime.simulator

switchboard: setup  ## the switchboard on its own (needs OPENAI_API_KEY and OPENAI_WEBHOOK_SECRET)
	$(RUN) -m airflow_openai_realtime.switchboard

docs: setup  ## check the documentation's links and samples, and build the site in build/docs/html
	$(RUN) -m scripts.check_docs --verbose
	$(RUN) -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	$(RUN) -m scripts.build_docs

clean:
	rm -rf .venv* build dist .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
