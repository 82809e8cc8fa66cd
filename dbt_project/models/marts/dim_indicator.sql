{{ config(
    materialized='incremental',
    tags=['made_once'],
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{{ touch_when_made('dim_indicator') }}"
) }}

with

indicators as (
    select * from {{ ref('indicator') }}
)

select
    indicator_code,
    name_fa,
    name_en,
    unit,
    direction,
    aggregation_time,
    aggregation_space,
    min_n_rank,
    family,
    is_simulated,
    accumulation
from indicators
{% if is_incremental() %}where false{% endif %}
