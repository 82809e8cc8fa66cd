"""Benchmarks of the house against bare tools, as ratios measured in one run.

Seconds of a busy machine say little; how many times longer than the same work by `psql`, polars or
calamine says much. Each measured piece runs in a process of its own, so that memory is its own.
Run them: `payesh bench ingest`
"""
