{{ config(
    materialized='incremental',
    incremental_strategy='latest_version',
    unique_key=['source', 'record_key'],
    on_schema_change='fail',
    indexes=[
        {'columns': ['source', 'record_key'], 'unique': true},
        {'columns': ['source', 'period_start', 'period_kind'], 'type': 'btree'},
        {'columns': ['obligation_code', 'agency_code'], 'type': 'btree'}
    ]
) }}

{{ latest_version('obligation_event', [
    'obligation_code', 'agency_code', 'event_on', 'status', 'percent_pct', 'evidence', 'anchor_event', 'anchor_on', 'extended_to'
]) }}
