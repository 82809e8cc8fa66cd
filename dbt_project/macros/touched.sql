{#
    A table of the house's own ledger, read in hooks. No model depends on it: dbt is not told.
#}
{% macro house_table(name) -%}
    {{ return(source('ops', name) if execute else 'ops.' ~ name) }}
{%- endmacro %}

{#
    Partitions of `mart` that were rewritten since the last finished build: what a mart made of
    other marts must follow. Builds that broke off half-way count too.
#}
{% macro touched_since_last_build(mart) -%}
    select t.partition_start
    from {{ house_table('touched_partition') }} as t
    where
        t.mart = '{{ mart }}'
        and t.build_id > coalesce((
            select max(b.build_id)
            from {{ house_table('build') }} as b
            where b.status = 'built' and b.build_id < {{ build_id() }}
        ), 0)
{%- endmacro %}

{#
    The last week that the last finished build showed, as a literal: what lies after it, up to the
    as-of week, is newly shown. Builds that broke off since may have shown more; their rows are
    computed again and found equal. (A week that moves back is a full refresh.)
#}
{% macro week_last_shown() -%}
    {%- set found = run_query(
        "select b.as_of_week::text as week from " ~ source('ops', 'build') ~ " as b"
        ~ " where b.status = 'built' and b.build_id < " ~ build_id()
        ~ " order by b.build_id desc limit 1"
    ) if execute else none -%}
    {%- if found and found.rows | length > 0 -%}
        date '{{ found.rows[0][0] }}'
    {%- else -%}
        date '1900-01-06'
    {%- endif -%}
{%- endmacro %}
