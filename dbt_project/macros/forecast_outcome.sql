{#
    CTEs over pace_ctes(): `judged`, every past forecast held against what came after 4, 8 and 12
    weeks.
#}
{% macro forecast_outcome_ctes() -%}
horizons as (
    select * from (values (4), (8), (12)) as h (horizon_weeks)
),

forecasts as (
    select
        h.horizon_weeks,
        p.project_code,
        p.week_start,
        p.actual_pct,
        p.low_pace,
        p.high_pace,
        came.actual_pct as came_pct,
        came.planned_pct as wanted_pct
    from paces as p
    cross join horizons as h
    left join {{ ref('project_progress_weekly') }} as came
        on
            p.project_code = came.project_code
            and p.week_start + 7 * h.horizon_weeks = came.week_start
            and came.actual_pct is not null
            and came.planned_pct is not null
),

chances as (
    select
        f.horizon_weeks,
        f.project_code,
        f.week_start,
        {{ ratio(
            "count(*) filter (where "
            ~ clipped_pct('s.actual_pct + '
                ~ ratio('f.horizon_weeks * s.rise_pct', 's.weeks'))
            ~ " < f.wanted_pct)",
            'count(*)'
        ) }} as behind_share
    from forecasts as f
    inner join slopes as s on f.project_code = s.project_code and f.week_start = s.week_start
    where f.came_pct is not null
    group by f.horizon_weeks, f.project_code, f.week_start
),

judged as (
    select
        f.horizon_weeks,
        f.project_code,
        f.week_start,
        f.came_pct is not null as is_resolved,
        f.came_pct between {{ clipped_pct('f.actual_pct + f.horizon_weeks * f.low_pace') }}
        and {{ clipped_pct('f.actual_pct + f.horizon_weeks * f.high_pace') }} as is_inside,
        (f.came_pct < f.wanted_pct)::integer as outcome,
        c.behind_share
    from forecasts as f
    left join chances as c
        on
            f.horizon_weeks = c.horizon_weeks
            and f.project_code = c.project_code
            and f.week_start = c.week_start
)
{%- endmacro %}
