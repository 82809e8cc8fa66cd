{# Reports to judge again: those that the build's loads speak of, and those whose duty changed. #}
{% macro affected_agency_reporting_weekly() -%}
with

standing as (
    select * from {{ this }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

owed as (
    {{ owed_reports() }}
),

changed as (
    {{ sources_changed() }}
),

came_in as (
    {% for kind in record_kinds() -%}
        select
            source,
            period_kind,
            period_start
        from {{ ref('stg_' ~ kind) }}
        where {{ is_new_load(kind) }}
        union
    {% endfor %}
    select
        source,
        period_kind,
        period_start
    from {{ ref('int_quarantine_period') }}
    where {{ is_new_load() }}
),

-- a corrected figure decides whether the next three reports of its series are copies of it
series_after as (
    select
        n.source,
        n.period_kind,
        n.period_start
    from (
        select distinct source, project_code, agency_code, province_code, activity, period_start
        from {{ ref('stg_progress') }}
        where {{ is_new_load('progress') }}
    ) as d
    cross join lateral (
        select
            n.source,
            n.period_kind,
            n.period_start
        from {{ ref('int_progress_latest') }} as n
        where
            n.project_code = d.project_code
            and n.province_code = d.province_code
            and n.source = d.source
            and n.agency_code = d.agency_code
            and n.activity = d.activity
            and n.period_start > d.period_start
            and not n.is_retracted
            and n.actual_pct is not null
        order by n.period_start
        limit 3
    ) as n
),

-- received before its week was shown
now_shown as (
    {% for kind in record_kinds() -%}
        select
            r.source,
            r.period_kind,
            r.period_start
        from sources as s
        inner join {{ ref('int_' ~ kind ~ '_latest') }} as r
            on
                s.source = r.source
                and r.period_start > {{ week_last_shown() }}
                and r.period_start <= {{ as_of_week() }}
        where r.period_kind = 'week'
        {{ 'union' if not loop.last }}
    {% endfor %}
),

-- duty or its terms have changed, or the week is newly shown
judged_differently as (
    select
        t.source,
        t.period_kind,
        t.period_start
    from standing as t
    inner join changed as c on t.source = c.source
    union
    -- when a source was retired nobody notes, so it is asked every time
    select
        t.source,
        t.period_kind,
        t.period_start
    from sources as s
    inner join standing as t on s.source = t.source
    where t.expected = 1 and t.period_start > s.retired_on
    union
    select
        o.source,
        o.period_kind,
        o.period_start
    from owed as o
    where
        o.period_start > {{ week_last_shown() }}
        or o.source in (select c.source from changed as c)
)

select * from came_in
union
select * from series_after
union
select * from now_shown
union
select * from judged_differently
{%- endmacro %}
