"""Drafts of source files from files that nobody here has seen.

In: the bytes of a workbook, text table or JSON answer. Out: a `Draft`, and the YAML of a source
file in which each guess carries its confidence and reason and each doubt is a question.
"""

from ingestion.draft.draft import Draft, Origin, draft
from ingestion.draft.render import render

__all__ = ["Draft", "Origin", "draft", "render"]
