"""The conversation of one accepted call, run to its end. No Airflow."""
