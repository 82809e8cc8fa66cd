{{ config(
    materialized='incremental',
    tags=['made_once'],
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{{ touch_when_made('dim_province') }}"
) }}

with

provinces as (
    select * from {{ ref('province') }}
)

select
    province_code,
    name_fa,
    name_en,
    code_list,
    region_no,
    valid_from,
    valid_to,
    sort_key_fa
from provinces
{% if is_incremental() %}where false{% endif %}
