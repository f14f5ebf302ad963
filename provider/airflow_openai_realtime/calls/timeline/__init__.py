"""The timeline of a call: entries in order, and the summary of them. Pure."""
