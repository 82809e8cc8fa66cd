{#
    Latest version per (source, record_key), kept up by the delta alone.

    Order: received_at, load_id, record_no; the last wins, a retraction included (the row stays,
    flagged, so that an older version that comes in late can't rise again). `first_received_at` is
    the earliest receipt of any version. Taking the same loads in twice gives the same rows.
#}
{% macro latest_version(kind, columns) -%}
    {%- set own = [
        'source', 'record_key', 'period_kind', 'period_start', 'received_at', 'load_id',
        'record_no', 'is_retracted', 'cells_required', 'cells_filled'
    ] + columns -%}
with

incoming as (
    select
        {% for column in own -%}
            {{ column }},
        {% endfor -%}
        received_at as first_received_at
    from {{ ref('stg_' ~ kind) }}
    where
        {% if is_incremental() -%}
            {{ is_new_load(kind) }}
        {%- else -%}
            load_id in ({{ loads_in_scope() }})
        {%- endif %}
),

{% if is_incremental() -%}
candidates as (
    select * from incoming
    union all
    select
        {% for column in own -%}
            stored.{{ column }},
        {% endfor -%}
        stored.first_received_at
    from {{ this }} as stored
    inner join (select distinct source, record_key from incoming) as touched
        on stored.source = touched.source and stored.record_key = touched.record_key
)
{%- else -%}
candidates as (
    select * from incoming
)
{%- endif %}

select distinct on (source, record_key)
    {% for column in own -%}
        {{ column }},
    {% endfor -%}
    min(first_received_at) over (partition by source, record_key) as first_received_at
from candidates
order by source, record_key, received_at desc, load_id desc, record_no desc
{%- endmacro %}

{# Write the winners: one statement, no row is rewritten that stays as it was. #}
{% macro get_incremental_latest_version_sql(arg_dict) -%}
    {%- set target_relation = arg_dict['target_relation'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | list -%}
    insert into {{ target_relation }} as stored ({{ columns | join(', ') }})
    select {{ columns | join(', ') }} from {{ arg_dict['temp_relation'] }}
    on conflict (source, record_key) do update set
        {% for column in columns if column not in ('source', 'record_key') -%}
            {{ column }} = excluded.{{ column }}{{ ', ' if not loop.last }}
        {%- endfor %}
    where
        (stored.load_id, stored.record_no, stored.first_received_at)
        is distinct from (excluded.load_id, excluded.record_no, excluded.first_received_at)
{%- endmacro %}
