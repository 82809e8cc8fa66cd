{{ config(
    materialized='incremental',
    incremental_strategy='latest_version',
    unique_key=['source', 'record_key'],
    on_schema_change='fail',
    indexes=[
        {'columns': ['source', 'record_key'], 'unique': true},
        {'columns': ['source', 'period_start', 'period_kind'], 'type': 'btree'},
        {'columns': ['project_code'], 'type': 'btree'},
        {'columns': ['indicator_code', 'period_start'], 'type': 'btree'},
        {'columns': ['project_code'], 'type': 'btree'},
        {'columns': ['indicator_code', 'period_start'], 'type': 'btree'}
    ]
) }}

{{ latest_version('target', [
    'indicator_code', 'project_code', 'province_code', 'revision', 'baseline', 'target', 'effective_from'
]) }}
