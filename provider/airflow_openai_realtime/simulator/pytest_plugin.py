"""The ``realtime_simulator`` pytest fixture."""
