{{ config(
    materialized='incremental',
    tags=['made_once'],
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{{ touch_when_made('dim_membership') }}"
) }}

with

members as (
    select * from {{ ref('portfolio_member') }}
)

select
    portfolio_code,
    project_code,
    entered_on,
    left_on,
    exit_reason
from members
{% if is_incremental() %}where false{% endif %}
