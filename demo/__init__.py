"""The demonstration: a callback campaign in a real Airflow, against simulated phones."""
