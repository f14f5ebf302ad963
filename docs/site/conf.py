"""How the site looks; ``scripts/build_docs.py`` puts together what Sphinx reads."""

from __future__ import annotations

from airflow_openai_realtime import __version__

project = "airflow-provider-openai-realtime"
author = "The airflow-provider-openai-realtime authors"
copyright = author
version = release = __version__

root_doc = "index"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
# Pages are written for the repository's browser: its anchors, and links to files that are not pages.
myst_heading_anchors = 4
suppress_warnings: list[str] = []

# Parameters and their types stand in one list; a signature of forty parameters is unreadable.
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"{project} {release}"
html_logo = "../integration-logos/OpenAI-Realtime.svg"
html_favicon = "../integration-logos/OpenAI-Realtime.svg"
html_copy_source = False
html_show_sphinx = False
# Neither the theme nor a page loads anything from elsewhere: system fonts, no analytics, no search service.
html_theme_options = {"sidebar_hide_name": False}
