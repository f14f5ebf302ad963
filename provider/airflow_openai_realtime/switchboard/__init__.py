"""
The switchboard: an always-on service that takes OpenAI's webhooks, keeps every call in a durable store, lets exactly
one owner have each call, and hangs up what has gone on too long. And the client to talk to it.

Nothing here imports Airflow, except ``mounted.py``.
"""

MOUNTED_AT = "/openai-realtime"
"""Path under Airflow's address where the plugin mounts it."""
