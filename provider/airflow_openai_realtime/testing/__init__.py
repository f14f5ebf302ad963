"""
For tests of DAGs: everything that a call needs, in one process, without a scheduler.

The pytest fixture ``realtime_airflow`` is there as soon as the package is installed; see ``docs/testing.md``.
"""
