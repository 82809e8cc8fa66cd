{{ config(
    materialized='incremental',
    incremental_strategy='latest_version',
    unique_key=['source', 'record_key'],
    on_schema_change='fail',
    indexes=[
        {'columns': ['source', 'record_key'], 'unique': true},
        {'columns': ['source', 'period_start', 'period_kind'], 'type': 'btree'},
        {'columns': ['project_code', 'province_code', 'activity', 'period_start'], 'type': 'btree'}
    ]
) }}

{{ latest_version('progress', [
    'project_code', 'agency_code', 'province_code', 'activity', 'planned_pct', 'actual_pct', 'planned_cost_rial', 'actual_cost_rial', 'forecast_finish_on', 'has_output'
]) }}
