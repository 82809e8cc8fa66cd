{{ config(
    materialized='incremental',
    incremental_strategy='latest_version',
    unique_key=['source', 'record_key'],
    on_schema_change='fail',
    indexes=[
        {'columns': ['source', 'record_key'], 'unique': true},
        {'columns': ['source', 'period_start', 'period_kind'], 'type': 'btree'},
        {'columns': ['agency_code', 'service_code', 'period_start'], 'type': 'btree'},
        {'columns': ['period_start'], 'type': 'btree'}
    ]
) }}

{{ latest_version('service_status', [
    'service_code', 'agency_code', 'service_title', 'is_dedicated', 'is_high_use', 'is_on_agency_window', 'is_on_national_window', 'has_identity_card', 'is_reengineered', 'has_sso', 'is_once_only', 'transactions_online', 'transactions_total'
]) }}
