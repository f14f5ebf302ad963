"""Phone calls handled by an AI voice, run from Apache Airflow (OpenAI Realtime over SIP)."""

from __future__ import annotations

__version__ = "0.1.0"
