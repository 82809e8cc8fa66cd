{{ config(
    materialized='incremental',
    tags=['made_once'],
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{{ touch_when_made('dim_project') }}"
) }}

with

projects as (
    select * from {{ ref('project') }}
)

select
    project_code,
    name_fa,
    name_en,
    is_named,
    weight
from projects
{% if is_incremental() %}where false{% endif %}
