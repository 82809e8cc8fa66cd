{{ config(
    materialized='incremental',
    incremental_strategy='latest_version',
    unique_key=['source', 'record_key'],
    on_schema_change='fail',
    indexes=[
        {'columns': ['source', 'record_key'], 'unique': true},
        {'columns': ['source', 'period_start', 'period_kind'], 'type': 'btree'},
        {'columns': ['indicator_code', 'period_start'], 'type': 'btree'}
    ]
) }}

{{ latest_version('indicator_value', [
    'indicator_code', 'province_code', 'agency_code', 'value', 'numerator', 'denominator', 'unit'
]) }}
