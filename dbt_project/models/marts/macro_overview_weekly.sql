{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('macro_overview_weekly') }}"
) }}

with

metrics as (
    select * from {{ ref('metric') }}
),

weeks as (
    select * from {{ ref('dim_week') }}
),

projects as (
    select
        project_code,
        weight,
        is_named
    from {{ ref('project') }}
),

project_count as (
    select (count(*))::integer as n from projects
),

progress as (
    select * from {{ ref('project_progress_weekly') }}
),

reports as (
    select *
    from {{ ref('agency_reporting_weekly') }}
    where period_kind = 'week'
),

slices as (
    select * from {{ ref('project_province_weekly') }}
),

province_counts as (
    select (count(*))::integer as n
    from {{ ref('province') }}
    where
        (valid_from is null or valid_from <= {{ as_of_week() }})
        and (valid_to is null or valid_to >= {{ as_of_week() }})
),

-- a week's change needs the week before it
shown_weeks as (
    select week_start
    from progress
    {% if is_incremental() -%}
        where week_start in (
            select a.week_start from {{ affected('macro_overview_weekly') }} as a
        )
    {% endif -%}
    union
    select period_start as week_start
    from reports
    where
        expected = 1
        {% if is_incremental() -%}
            and period_start in (
                select a.week_start from {{ affected('macro_overview_weekly') }} as a
            )
        {%- endif %}
),

needed_weeks as (
    select week_start from shown_weeks
    union
    select week_start - 7 as week_start from shown_weeks
),

-- what came unasked (backlog, plans) is no part of what was owed
owed as (
    select
        r.period_start as week_start,
        sum(r.expected) as expected,
        sum(r.received) as received,
        sum(r.on_time) as on_time,
        (count(distinct r.agency_code))::integer as agencies_owing,
        (count(distinct r.agency_code) filter (where r.received = 1))::integer
            as agencies_reporting,
        (count(distinct r.agency_code) filter (where r.on_time = 1))::integer
            as agencies_on_time
    from reports as r
    inner join needed_weeks as w on r.period_start = w.week_start
    where r.expected = 1
    group by r.period_start
),

portfolio as (
    select
        g.week_start,
        (count(g.actual_pct))::integer as valued,
        (count(*) filter (where g.actual_pct is not null and g.planned_pct is not null))::integer
            as valued_with_plan,
        sum(p.weight * g.actual_pct) as actual,
        sum(p.weight) filter (where g.actual_pct is not null) as actual_weight,
        sum(p.weight * g.planned_pct) filter (where g.actual_pct is not null) as planned,
        sum(p.weight) filter (where g.actual_pct is not null and g.planned_pct is not null)
            as planned_weight,
        sum(p.weight * g.actual_pct) filter (where g.planned_pct is not null)
            as actual_with_plan,
        count(*) filter (where g.status_band in ('behind', 'at_risk')) as behind,
        count(*) filter (where g.is_stagnant) as stagnant
    from progress as g
    inner join needed_weeks as w on g.week_start = w.week_start
    inner join projects as p on g.project_code = p.project_code
    where p.is_named
    group by g.week_start
),

reporting_provinces as (
    select
        s.week_start,
        count(distinct s.province_code) as provinces
    from slices as s
    inner join needed_weeks as w on s.week_start = w.week_start
    where s.reporters_received > 0
    group by s.week_start
),

figures as (
    select
        w.week_start,
        m.metric_code,
        m.numerator,
        m.denominator,
        m.is_share,
        m.is_known,
        m.factor,
        m.coverage_received,
        m.coverage_expected,
        m.null_reason
    from needed_weeks as w
    cross join project_count as n
    cross join province_counts as c
    left join owed as o on w.week_start = o.week_start
    left join portfolio as f on w.week_start = f.week_start
    left join reporting_provinces as r on w.week_start = r.week_start
    cross join lateral (
        values
        (
            'reporting_rate_pct', o.received::numeric, o.expected::numeric, true, true, 100,
            coalesce(o.agencies_reporting, 0), coalesce(o.agencies_owing, 0), 'none_owed'
        ),
        (
            'on_time_rate_pct', o.on_time::numeric, o.expected::numeric, true, true, 100,
            coalesce(o.agencies_on_time, 0), coalesce(o.agencies_owing, 0), 'none_owed'
        ),
        (
            'portfolio_actual_pct', f.actual, f.actual_weight, true, true, 1,
            coalesce(f.valued, 0), n.n, 'no_value'
        ),
        (
            'portfolio_planned_pct', f.planned, f.planned_weight, true, true, 1,
            coalesce(f.valued_with_plan, 0), n.n, 'no_value'
        ),
        (
            'portfolio_spi', f.actual_with_plan, f.planned, true, true, 1,
            coalesce(f.valued_with_plan, 0), n.n, 'no_value'
        ),
        (
            'projects_behind_plan', coalesce(f.behind, 0)::numeric, null, false,
            coalesce(f.valued, 0) > 0, 1, coalesce(f.valued, 0), n.n, 'no_value'
        ),
        (
            'projects_stagnant', coalesce(f.stagnant, 0)::numeric, null, false,
            coalesce(f.valued, 0) > 0, 1, coalesce(f.valued, 0), n.n, 'no_value'
        ),
        (
            -- the week before the first is no week without a report
            'provinces_reporting', coalesce(r.provinces, 0)::numeric, null, false,
            f.week_start is not null or o.week_start is not null, 1,
            coalesce(r.provinces, 0)::integer, c.n, 'no_value'
        )
    ) as m (
        metric_code, numerator, denominator, is_share, is_known, factor,
        coverage_received, coverage_expected, null_reason
    )
),

valued as (
    select
        f.*,
        case
            when f.is_share then {{ ratio('f.numerator * f.factor', 'f.denominator') }}
            when f.is_known then f.numerator
        end as value
    from figures as f
),

computed as (
    select
        v.metric_code,
        v.week_start,
        w.week_label,
        v.value,
        v.numerator,
        v.denominator,
        m.unit,
        v.coverage_received,
        v.coverage_expected,
        {{ ratio('v.coverage_received', 'v.coverage_expected') }} as coverage,
        v.value - previous.value as change_on_last_week,
        m.target,
        case when v.value is null then v.null_reason end as null_reason
    from valued as v
    inner join shown_weeks as s on v.week_start = s.week_start
    inner join metrics as m on v.metric_code = m.metric_code
    left join valued as previous
        on v.metric_code = previous.metric_code and v.week_start - 7 = previous.week_start
    left join weeks as w on v.week_start = w.week_start
)

-- rounded here and nowhere else, halves away from zero
select
    metric_code,
    week_start,
    week_label,
    value::numeric(20, 6) as value,
    numerator::numeric(28, 6) as numerator,
    denominator::numeric(28, 6) as denominator,
    unit,
    coverage_received,
    coverage_expected,
    coverage::numeric(9, 6) as coverage,
    change_on_last_week::numeric(20, 6) as change_on_last_week,
    target::numeric(20, 6) as target,
    null_reason
from computed
