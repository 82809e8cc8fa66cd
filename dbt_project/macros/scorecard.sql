{#
    CTEs that the scorecard and its components stand on: every component of the version of weights
    in force, by agency and week, unrounded, with the weights of its index that have a value; in a
    night's delta of the affected weeks and those `back_weeks` before them.
#}
{% macro scorecard_ctes(back_weeks=0) -%}
weeks as (
    select distinct week_start
    from {{ ref('project_progress_weekly') }}
    {% if is_incremental() -%}
        where week_start in (
            select a.week_start - 7 * back.weeks
            from {{ affected(this.identifier) }} as a
            cross join (values (0), ({{ back_weeks }})) as back (weeks)
        )
    {%- endif %}
),

agencies as (
    select agency_code from {{ ref('project_agency') }}
    union
    select agency_code from {{ ref('dim_source') }}
),

projects as (
    select
        b.agency_code,
        v.week_start,
        {{ ratio(
            'sum(p.weight * least(1, ' ~ ratio('v.actual_pct', 'v.planned_pct') ~ '))
            filter (where v.actual_pct is not null and v.planned_pct <> 0)',
            'sum(p.weight) filter (where v.actual_pct is not null and v.planned_pct <> 0)'
        ) }} as progress,
        {{ ratio(
            'sum(p.weight * least(1, v.spi_t)) filter (where v.spi_t is not null)',
            'sum(p.weight) filter (where v.spi_t is not null)'
        ) }} as schedule
    from {{ ref('project_agency') }} as b
    inner join {{ ref('project') }} as p on b.project_code = p.project_code
    inner join {{ ref('project_progress_weekly') }} as v on b.project_code = v.project_code
    inner join weeks as w on v.week_start = w.week_start
    where b.is_lead
    group by b.agency_code, v.week_start
),

obligations as (
    select
        s.agency_code,
        s.week_start,
        {{ ratio(
            "count(*) filter (where s.state in ('done_on_time', 'live', 'due_soon'))",
            "count(*) filter (
                where s.state in ('done_on_time', 'live', 'due_soon', 'done_late', 'breached')
            )"
        ) }} as obligations
    from {{ ref('int_obligation_state') }} as s
    inner join weeks as w on s.week_start = w.week_start
    group by s.agency_code, s.week_start
),

-- the last four weeks, this one included
reports as (
    select
        r.agency_code,
        w.week_start,
        {{ ratio('sum(r.on_time)', 'sum(r.expected)') }} as on_time,
        {{ ratio('sum(r.cells_filled)', 'sum(r.cells_required)') }} as completeness,
        1 - {{ ratio('sum(r.copied_forward)', 'sum(r.records)') }} as freshness
    from weeks as w
    cross join generate_series(0, 21, 7) as back (days)
    inner join {{ ref('agency_reporting_weekly') }} as r
        on w.week_start - back.days = r.period_start
    where r.period_kind = 'week'
    group by r.agency_code, w.week_start
),

versions as (
    select
        w.week_start,
        max(s.version) as version
    from weeks as w
    inner join {{ ref('scorecard_weight') }} as s
        on s.valid_from is null or s.valid_from <= w.week_start + 6
    group by w.week_start
),

valued as (
    select
        a.agency_code,
        v.week_start,
        s.index_name,
        s.component,
        s.weight,
        s.threshold,
        case s.component
            when 'progress' then p.progress
            when 'schedule' then p.schedule
            when 'obligations' then o.obligations
            when 'on_time' then r.on_time
            when 'completeness' then r.completeness
            when 'freshness' then r.freshness
        end as value
    from versions as v
    inner join {{ ref('scorecard_weight') }} as s on v.version = s.version
    cross join agencies as a
    left join projects as p on a.agency_code = p.agency_code and v.week_start = p.week_start
    left join obligations as o on a.agency_code = o.agency_code and v.week_start = o.week_start
    left join reports as r on a.agency_code = r.agency_code and v.week_start = r.week_start
),

shared as (
    select
        v.*,
        sum(v.weight) over one_index as weight_sum,
        sum(v.weight) filter (where v.value is not null) over one_index as weight_available
    from valued as v
    window one_index as (partition by v.agency_code, v.week_start, v.index_name)
)
{%- endmacro %}
