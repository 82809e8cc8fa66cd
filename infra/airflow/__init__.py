"""Airflow as this house runs it: configuration, DAG building, supervisor, notices.

Airflow orders and retries; what a task does is a function of `infra.airflow.tasks`, which calls
ingestion, the gate, the warehouse and the release.
"""
