{#
    Partitions of `mart` that were rewritten since the last finished build: what a mart made of
    other marts must follow. Builds that broke off half-way count too.
#}
{% macro touched_since_last_build(mart) -%}
    select t.partition_start
    from {{ source('ops', 'touched_partition') }} as t
    where
        t.mart = '{{ mart }}'
        and t.build_id > coalesce((
            select max(b.build_id)
            from {{ source('ops', 'build') }} as b
            where b.status = 'built' and b.build_id < {{ build_id() }}
        ), 0)
{%- endmacro %}
