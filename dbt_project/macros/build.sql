{#
    What this run takes in, read once and written into the SQL as literals, so that the block range
    index on raw.*.load_id prunes whatever the history.
#}

{#
    A run's parameter: the variable, else the environment (PAYESH_BUILD_ID, PAYESH_AS_OF_WEEK): other
    --vars than in the run before make dbt parse the whole project anew, which takes 3 s. The
    environment is read when SQL is rendered, never while parsing.
#}
{% macro run_parameter(name, meaning) -%}
    {%- set given = var(name) or (env_var('PAYESH_' ~ name | upper, '') if execute else '') -%}
    {%- if not given and execute and flags.WHICH in ('run', 'build') -%}
        {{ exceptions.raise_compiler_error(
            name ~ " is not given (" ~ meaning ~ "): run through the warehouse runner, or pass "
            ~ "--vars '{build_id: <row of ops.build>, as_of_week: \"<Saturday>\"}'"
        ) }}
    {%- endif -%}
    {{ return(given) }}
{%- endmacro %}

{# The row of ops.build that this run belongs to; 0 where nothing is built. #}
{% macro build_id() -%}
    {{ (run_parameter('build_id', 'the row of ops.build') or 0) | int }}
{%- endmacro %}

{# The last week to be shown, as a date. Docs and parsing have a fixed one. #}
{% macro as_of_week() -%}
    {%- set given = run_parameter('as_of_week', 'the Saturday that opens the last week') -%}
    {%- set day = modules.datetime.date.fromisoformat((given or '2026-11-14') | string) -%}
    {%- if day.weekday() != 5 -%}
        {{ exceptions.raise_compiler_error(
            "as_of_week " ~ given ~ " is no Saturday; a week is named by the Saturday that opens it"
        ) }}
    {%- endif -%}
    date '{{ day.isoformat() }}'
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
    {%- if not execute or build_id() | int == 0 -%}
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

{#
    Whether this model is made anew: asked for all, or a seed below it has changed, which the runner
    tells by name (PAYESH_REFRESHED, node ids). A seed's own rows are replaced in place, so that no
    view on it is dropped.
#}
{% macro should_full_refresh() -%}
    {%- set configured = config.get('full_refresh') -%}
    {%- if configured is not none -%}
        {{ return(configured) }}
    {%- endif -%}
    {%- set refreshed = (env_var('PAYESH_REFRESHED', '') if execute else '').split(' ') -%}
    {{ return(flags.FULL_REFRESH or model.unique_id in refreshed) }}
{%- endmacro %}
