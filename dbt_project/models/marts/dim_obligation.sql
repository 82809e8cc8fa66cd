{{ config(
    materialized='incremental',
    tags=['made_once'],
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{{ touch_when_made('dim_obligation') }}"
) }}

with

obligations as (
    select * from {{ ref('obligation') }}
)

select
    obligation_code,
    instrument_code,
    theme,
    debtor,
    coordinate_with,
    recipient,
    title_en,
    due_rule,
    due_amount,
    due_unit,
    due_anchor,
    due_text,
    cadence_kind
from obligations
{% if is_incremental() %}where false{% endif %}
