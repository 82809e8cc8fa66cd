"""Grids and JSON columns to candidate records, as the layout of the source file describes them."""

from ingestion.layouts.extract import extract, extract_best, layout_at

__all__ = ["extract", "extract_best", "layout_at"]
