{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    unique_key=['project_code', 'week_start', 'horizon_weeks'],
    on_schema_change='fail',
    pre_hook="{{ affect('int_forecast_outcome') }}",
    indexes=[{'columns': ['project_code', 'week_start', 'horizon_weeks'], 'unique': true}]
) }}

with

{{ pace_ctes() }},

{{ forecast_outcome_ctes() }}

select
    project_code,
    week_start,
    horizon_weeks,
    is_resolved,
    is_inside,
    outcome,
    behind_share
from judged
