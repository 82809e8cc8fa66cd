{#
    What this run takes in, read once and written into the SQL as literals, so that the block range
    index on raw.*.load_id prunes whatever the history.
#}

{# The row of ops.build that this run belongs to. #}
{% macro build_id() -%}
    {%- if var('build_id') is none -%}
        {%- if execute and flags.WHICH in ('run', 'build') -%}
            {{ exceptions.raise_compiler_error(
                "build_id is not given: run through the warehouse runner, or pass "
                ~ "--vars '{build_id: <row of ops.build>, as_of_week: \"<Saturday>\"}'"
            ) }}
        {%- endif -%}
        0
    {%- else -%}
        {{ var('build_id') | int }}
    {%- endif -%}
{%- endmacro %}

{# The last week to be shown, as a date. Unit tests and docs have a fixed one. #}
{% macro as_of_week() -%}
    {%- set given = var('as_of_week') -%}
    {%- if given is none -%}
        {%- if execute and flags.WHICH in ('run', 'build') -%}
            {{ exceptions.raise_compiler_error(
                "as_of_week is not given: pass the Saturday that opens the last week"
            ) }}
        {%- endif -%}
        date '2026-11-14'
    {%- else -%}
        {%- set day = modules.datetime.date.fromisoformat(given | string) -%}
        {%- if day.weekday() != 5 -%}
            {{ exceptions.raise_compiler_error(
                "as_of_week " ~ given ~ " is no Saturday; a week is named by the Saturday that "
                ~ "opens it"
            ) }}
        {%- endif -%}
        date '{{ day.isoformat() }}'
    {%- endif -%}
{%- endmacro %}

{# Loads that belong to the warehouse: those of finished builds, and this build's own. #}
{% macro loads_in_scope() -%}
    select taken.load_id
    from {{ source('ops', 'build_load') }} as taken
    inner join {{ source('ops', 'build') }} as b on taken.build_id = b.build_id
    where b.status = 'built' or b.build_id = {{ build_id() }}
{%- endmacro %}

{#
    A condition on `column` that holds for this build's own loads (of one kind, when given).
    Runs of consecutive numbers become ranges: a night's loads are one or a few.
#}
{% macro is_new_load(kind=none, column='load_id') -%}
    {%- if not execute or var('build_id') is none -%}
        false
    {%- else -%}
        {%- set ranges = run_query(
            "select min(load_id) as first_load, max(load_id) as last_load from ("
            ~ "select l.load_id, l.load_id - row_number() over (order by l.load_id) as run"
            ~ " from " ~ source('ops', 'build_load') ~ " as taken"
            ~ " inner join " ~ source('raw', 'load') ~ " as l on taken.load_id = l.load_id"
            ~ " where taken.build_id = " ~ build_id()
            ~ (" and l.kind = '" ~ kind ~ "'" if kind else "")
            ~ ") as numbered group by run order by first_load"
        ) -%}
        {%- if ranges.rows | length == 0 -%}
            false
        {%- else -%}
            (
            {%- for range in ranges.rows -%}
                {{- ' or ' if not loop.first -}}
                {{ column }} between {{ range[0] }} and {{ range[1] }}
            {%- endfor -%}
            )
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
