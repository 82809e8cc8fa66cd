{{ config(
    materialized='incremental',
    tags=['made_once'],
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{{ touch_when_made('dim_agency') }}"
) }}

with

agencies as (
    select * from {{ ref('agency') }}
)

select
    agency_code,
    name_fa,
    name_en,
    is_outside_government,
    level,
    is_simulated,
    province_code,
    valid_from,
    valid_to
from agencies
{% if is_incremental() %}where false{% endif %}
