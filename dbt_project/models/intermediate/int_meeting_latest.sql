{{ config(
    materialized='incremental',
    incremental_strategy='latest_version',
    unique_key=['source', 'record_key'],
    on_schema_change='fail',
    indexes=[
        {'columns': ['source', 'record_key'], 'unique': true},
        {'columns': ['source', 'period_start', 'period_kind'], 'type': 'btree'}
    ]
) }}

{{ latest_version('meeting', [
    'committee_code', 'held_on', 'due_period_start', 'minuted_on', 'decisions'
]) }}
