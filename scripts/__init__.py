"""What the Makefile runs besides the usual tools."""
