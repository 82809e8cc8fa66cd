{#
    Rewrite of only what a build has affected.

    A mart that uses `incremental_strategy='affected_partitions'` names in its meta
      partition_by   the column that releases are compared by
      affected_key   the columns that its affected set is keyed by (a part of its grain)
    and has a pre-hook `affect('<mart>')`. The hook puts the set into the temporary table
    `<mart>__affected`, found by receipt (the build's loads) and by holding what is owed against
    what stands in the mart, never by a look-back in weeks (trap Q3). The model computes the rows of
    that set, the strategy deletes the old ones, inserts the new ones and notes the partitions in
    ops.touched_partition, all in one transaction: after a crash the same set is found again.
#}

{% macro affected(mart) -%}
    {{ mart }}__affected
{%- endmacro %}

{# Pre-hook. First build or full refresh: the whole mart counts as touched. #}
{% macro affect(mart) -%}
    {%- if execute -%}
        {%- if is_incremental() -%}
            create temporary table {{ affected(mart) }} on commit drop as
            {{ context['affected_' ~ mart]() }};
            analyze {{ affected(mart) }};
            insert into {{ source('ops', 'touched_partition') }}
            (build_id, mart, partition_start)
            select distinct {{ build_id() }}, '{{ mart }}', {{ model.meta.partition_by }}
            from {{ affected(mart) }}
            on conflict do nothing
        {%- else -%}
            {{ touch_all(mart) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# Pre-hook of marts that are written whole. #}
{% macro touch_all(mart) -%}
    {%- if execute -%}
        insert into {{ source('ops', 'touched_partition') }} (build_id, mart, partition_start)
        values ({{ build_id() }}, '{{ mart }}', null)
        on conflict do nothing
    {%- endif -%}
{%- endmacro %}

{# Pre-hook of dimensions made of reference data alone: those change in a full refresh only. #}
{% macro touch_when_made(mart) -%}
    {%- if execute and not is_incremental() -%}
        {{ touch_all(mart) }}
    {%- endif -%}
{%- endmacro %}

{% macro get_incremental_affected_partitions_sql(arg_dict) -%}
    {%- set target_relation = arg_dict['target_relation'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set mart = target_relation.identifier -%}
    delete from {{ target_relation }} as stored
    using {{ affected(mart) }} as affected
    where
        {% for column in model.meta.affected_key -%}
            {{ 'and ' if not loop.first }}stored.{{ column }} = affected.{{ column }}
        {% endfor %};
    insert into {{ target_relation }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{%- endmacro %}
