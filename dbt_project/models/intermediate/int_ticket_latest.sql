{{ config(
    materialized='incremental',
    incremental_strategy='latest_version',
    unique_key=['source', 'record_key'],
    on_schema_change='fail',
    indexes=[
        {'columns': ['source', 'record_key'], 'unique': true},
        {'columns': ['source', 'period_start', 'period_kind'], 'type': 'btree'},
        {'columns': ['ticket_code'], 'type': 'btree'},
        {'columns': ['opened_at'], 'type': 'btree'}
    ]
) }}

{{ latest_version('ticket', [
    'ticket_code', 'project_code', 'obligation_code', 'agency_code', 'theme_code', 'severity', 'opened_at', 'due_at', 'closed_at'
]) }}
