#!/bin/sh
# Make a virtual environment with a given Airflow and this package: setup.sh PYTHON VENV AIRFLOW_VERSION
# A series such as 3.4 instead of a version stands for its newest release, pre-releases included.
set -eu
python=$1 venv=$2 airflow=$3
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "Python 3.10 or newer is needed; '$python' is $("$python" -V). Say which to use: make PYTHON=python3.11 ..." >&2
    exit 1
}
test -x "$venv/bin/python" || "$python" -m venv "$venv"
case $airflow in
    *.*.*) wanted="apache-airflow==$airflow" ;;
    *) wanted="apache-airflow~=$airflow.0a1" ;;
esac
install() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" "$wanted" -e '.[dev]'
}
echo "Installing Airflow $airflow and the development tools into $venv (a few minutes the first time) ..."
if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    # The pins were made on Python 3.11; on 3.10 some of them do not exist, so there only Airflow itself is pinned.
    install
elif [ "$wanted" = "apache-airflow==$airflow" ]; then
    install -c "constraints/airflow-$airflow.txt"
else
    install -c "constraints/airflow-$airflow.txt" || {
        echo "The pins do not fit the newest Airflow $airflow; taking the newest of what it needs." >&2
        install
    }
fi
touch "$venv/.ready"
