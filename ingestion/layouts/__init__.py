"""Grids and JSON columns to candidate records, as the layout of the source file describes them."""

from ingestion.layouts.extract import extract, layout_at

__all__ = ["extract", "layout_at"]
