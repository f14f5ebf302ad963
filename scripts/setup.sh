#!/bin/sh
# Make a virtual environment with a given Airflow and this package: setup.sh PYTHON VENV AIRFLOW_VERSION
set -eu
python=$1 venv=$2 airflow=$3
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "Python 3.10 or newer is needed; '$python' is $("$python" -V). Say which to use: make PYTHON=python3.11 ..." >&2
    exit 1
}
test -x "$venv/bin/python" || "$python" -m venv "$venv"
# The pins were made on Python 3.11; on 3.10 some of them do not exist, so there only Airflow itself is pinned.
pins=$("$venv/bin/python" -c 'import sys; print("-c constraints/airflow-'"$airflow"'.txt" if sys.version_info >= (3, 11) else "")')
echo "Installing Airflow $airflow and the development tools into $venv (a few minutes the first time) ..."
# shellcheck disable=SC2086
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check $pins "apache-airflow==$airflow" -e '.[dev]'
touch "$venv/.ready"
