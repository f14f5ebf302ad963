"""What was said and done in a call, as entries in order, and what they add up to. Pure."""
