"""One call from ring to result, without Airflow."""
