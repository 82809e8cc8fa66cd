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

last_week as (
    select max(period_start) as week_start from standing where period_kind = 'week'
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
        from last_week as l
        cross join sources as s
        inner join {{ ref('int_' ~ kind ~ '_latest') }} as r
            on
                s.source = r.source
                and r.period_start > l.week_start
                and r.period_start <= {{ as_of_week() }}
        where r.period_kind = 'week'
        {{ 'union' if not loop.last }}
    {% endfor %}
),

-- duty or its terms have changed, or the week is not (or no longer) shown
judged_differently as (
    select
        coalesce(t.source, o.source) as source,
        coalesce(t.period_kind, o.period_kind) as period_kind,
        coalesce(t.period_start, o.period_start) as period_start
    from standing as t
    full outer join owed as o
        on
            t.source = o.source
            and t.period_kind = o.period_kind
            and t.period_start = o.period_start
    left join sources as s on t.source = s.source
    where
        t.source is null
        or (t.period_kind = 'week' and t.period_start > {{ as_of_week() }})
        or t.expected <> (o.source is not null)::integer
        or (t.agency_code, t.is_simulated) is distinct from (s.agency_code, s.is_simulated)
        or (
            t.expected = 1
            and (
                t.due_at is distinct from {{ due_at(
                    't.period_start', 's.due_hours + coalesce(o.extra_hours, 0)'
                ) }}
                or t.on_time <> coalesce((
                    t.first_received_at
                    <= t.due_at + s.grace_hours::double precision * interval '1 hour'
                )::integer, 0)
            )
        )
)

select * from came_in
union
select * from series_after
union
select * from now_shown
union
select * from judged_differently
{%- endmacro %}
