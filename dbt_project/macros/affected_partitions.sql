{#
    Rewrite of only what a build has changed.

    A model that uses `incremental_strategy='affected_partitions'` names in its meta
      partition_by   the column that releases are compared by
      affected_key   the columns that its affected set is keyed by (a part of its grain)
    and has a pre-hook `affect('<model>')`. The hook puts the set into the temporary table
    `<model>__affected`, found by receipt (the build's loads), by what models below have rewritten
    and by what is newly shown, never by a look-back in weeks (trap Q3). The model computes the
    rows of that set; what differs from the rows that stand is written, and their partitions are
    noted in ops.touched_partition, all in one transaction: after a crash the same set is found
    again. A set may be too large, never too small: what comes out equal is not written.

    Models bounded by reference data use `incremental_strategy='changed_rows'`: computed whole,
    and only what differs is written and noted.
#}

{% macro affected(mart) -%}
    {{ mart }}__affected
{%- endmacro %}

{# Pre-hook. First build or full refresh: the whole mart counts as touched. #}
{% macro affect(mart) -%}
    {%- if not execute or is_incremental() -%}
        {#- also while parsing, so that dbt knows all that is read -#}
        create temporary table {{ affected(mart) }} on commit drop as
        {{ context['affected_' ~ mart]() }};
        analyze {{ affected(mart) }}
    {%- else -%}
        {{ touch_all(mart) }}
    {%- endif -%}
{%- endmacro %}

{# Notes that a mart was made anew. #}
{% macro touch_all(mart) -%}
    {%- if execute -%}
        insert into {{ source('ops', 'touched_partition') }} (build_id, mart, partition_start)
        values ({{ build_id() }}, '{{ mart }}', null)
        on conflict do nothing
    {%- endif -%}
{%- endmacro %}

{# Pre-hook of models whose affected set needs no table of its own. #}
{% macro touch_when_made(mart) -%}
    {%- if execute and not is_incremental() -%}
        {{ touch_all(mart) }}
    {%- endif -%}
{%- endmacro %}

{% macro get_incremental_affected_partitions_sql(arg_dict) -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', stored.') -%}
    {%- set standing -%}
        select stored.{{ columns }}
        from {{ arg_dict['target_relation'] }} as stored
        where exists (
            select
            from {{ affected(arg_dict['target_relation'].identifier) }} as affected
            where
                {% for column in model.meta.affected_key -%}
                    {{ 'and ' if not loop.first }}stored.{{ column }} = affected.{{ column }}
                {% endfor %}
        )
    {%- endset -%}
    {{ write_differences(arg_dict, standing) }}
{%- endmacro %}

{% macro get_incremental_changed_rows_sql(arg_dict) -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {{ write_differences(
        arg_dict, 'select ' ~ columns ~ ' from ' ~ arg_dict['target_relation']
    ) }}
{%- endmacro %}

{# Make the rows of `standing` those of the temporary relation; note the partitions that differ. #}
{% macro write_differences(arg_dict, standing) -%}
    {%- set target_relation = arg_dict['target_relation'] -%}
    {%- set mart = target_relation.identifier -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set partition = model.meta.partition_by -%}
    create temporary table {{ mart }}__standing on commit drop as
    {{ standing }};
    create temporary table {{ mart }}__gone on commit drop as
    select {{ columns }} from {{ mart }}__standing
    except
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
    create temporary table {{ mart }}__come on commit drop as
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
    except
    select {{ columns }} from {{ mart }}__standing;
    insert into {{ source('ops', 'touched_partition') }} (build_id, mart, partition_start)
    select distinct {{ build_id() }}, '{{ mart }}', {{ partition or 'null::date' }}
    from (
        select {{ partition or 'true' }} from {{ mart }}__gone
        union all
        select {{ partition or 'true' }} from {{ mart }}__come
    ) as changed
    on conflict do nothing;
    delete from {{ target_relation }} as stored
    using {{ mart }}__gone as gone
    where
        {% for column in grain() -%}
            {{ 'and ' if not loop.first }}stored.{{ column }} = gone.{{ column }}
        {% endfor %};
    insert into {{ target_relation }} ({{ columns }})
    select {{ columns }} from {{ mart }}__come
{%- endmacro %}

{# The columns that identify a row: of the primary key, else the configured unique key. #}
{% macro grain() -%}
    {%- for constraint in model.constraints if constraint.type == 'primary_key' -%}
        {{ return(constraint.columns) }}
    {%- endfor -%}
    {{ return(config.require('unique_key')) }}
{%- endmacro %}
