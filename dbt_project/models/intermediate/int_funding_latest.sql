{{ config(
    materialized='incremental',
    incremental_strategy='latest_version',
    unique_key=['source', 'record_key'],
    on_schema_change='fail',
    indexes=[
        {'columns': ['source', 'record_key'], 'unique': true},
        {'columns': ['source', 'period_start', 'period_kind'], 'type': 'btree'},
        {'columns': ['period_start', 'period_kind'], 'type': 'btree'}
    ]
) }}

{{ latest_version('funding', [
    'agency_code', 'province_code', 'project_code', 'allocated_rial', 'released_rial', 'spent_rial'
]) }}
