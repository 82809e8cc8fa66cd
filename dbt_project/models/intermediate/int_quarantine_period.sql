{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='load_id',
    on_schema_change='fail',
    indexes=[
        {'columns': ['load_id'], 'type': 'btree'},
        {'columns': ['source', 'period_start', 'period_kind'], 'type': 'btree'}
    ]
) }}

with

items as (
    select *
    from {{ ref('stg_quarantine') }}
    where
        {% if is_incremental() -%}
            {{ is_new_load() }}
        {%- else -%}
            load_id in ({{ loads_in_scope() }})
        {%- endif %}
)

select
    load_id,
    source,
    period_kind,
    period_start,
    received_at,
    count(*) filter (where scope = 'row')::integer as quarantined_rows,
    count(*) filter (where scope = 'cell')::integer as quarantined_cells
from items
where period_start is not null
group by load_id, source, period_kind, period_start, received_at
