{{ config(
    materialized='incremental',
    incremental_strategy='latest_version',
    unique_key=['source', 'record_key'],
    on_schema_change='fail',
    indexes=[
        {'columns': ['source', 'record_key'], 'unique': true},
        {'columns': ['source', 'period_start', 'period_kind'], 'type': 'btree'},
        {'columns': ['project_code', 'agency_code', 'author'], 'type': 'btree'},
        {'columns': ['rated_on'], 'type': 'btree'}
    ]
) }}

{{ latest_version('rating', [
    'project_code', 'agency_code', 'author', 'rated_on', 'scale', 'value', 'reason'
]) }}
