{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('project_progress_weekly') }}",
    indexes=[{'columns': ['week_start'], 'type': 'btree'}]
) }}
-- depends_on: {{ ref('stg_progress') }}
-- depends_on: {{ ref('stg_target') }}

with

projects as (
    select * from {{ ref('project') }}
),

bridge as (
    select * from {{ ref('project_agency') }}
),

weeks as (
    select *
    from {{ ref('dim_week') }}
    where week_start <= {{ as_of_week() }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

baseline as (
    select * from {{ ref('int_project_baseline') }}
),

{% if is_incremental() -%}
affected as (
    select * from {{ affected('project_progress_weekly') }}
),

spans as (
    select
        project_code,
        min(week_start) as from_week,
        max(week_start) as to_week
    from affected
    group by project_code
),

-- a week's series begins five reports before it (trend) or where its run of equal figures began
-- (stagnation); what lies before that is carried on from the rows that stand
series_starts as (
    select
        s.project_code,
        s.from_week,
        s.to_week,
        least(s.from_week, five.week_start, run.week_start) as series_from
    from spans as s
    cross join lateral (
        select min(k.week_start) as week_start
        from (
            select v.week_start
            from {{ this }} as v
            where
                v.project_code = s.project_code
                and v.week_start < s.from_week
                and v.actual_pct is not null
            order by v.week_start desc
            limit 5
        ) as k
    ) as five
    cross join lateral (
        select max(v.week_start) as week_start
        from {{ this }} as v
        where
            v.project_code = s.project_code
            and v.week_start < s.from_week
            and v.weeks_stagnant = 1
    ) as run
),

carried as (
    select
        s.*,
        coalesce(first.regressions, 0) as regressions,
        before.has_output
    from series_starts as s
    left join {{ this }} as first
        on
            s.project_code = first.project_code
            and s.series_from = first.week_start
            and s.series_from < s.from_week
    left join lateral (
        select v.has_output
        from {{ this }} as v
        where v.project_code = s.project_code and v.week_start < s.series_from
        order by v.week_start desc
        limit 1
    ) as before on true
),

{% endif -%}

-- national rows of whole projects; a placeholder has no name, so nothing can be told of it (E6)
national as (
    select r.*
    from {{ ref('int_progress_latest') }} as r
    inner join projects as p on r.project_code = p.project_code
    {% if is_incremental() -%}
        inner join carried as c
            on
                r.project_code = c.project_code
                and r.period_start between c.series_from and c.to_week
    {% endif -%}
    where
        p.is_named
        and r.province_code = ''
        and r.activity = ''
        and r.period_start <= {{ as_of_week() }}
        and not r.is_retracted
),

first_week as (
    {{ first_report_week() }}
),

grid as (
    select
        p.project_code,
        w.week_start,
        w.week_label,
        w.week_start + 6 as friday_on
    from projects as p
    cross join weeks as w
    inner join first_week as f on w.week_start >= f.week_start
    {% if is_incremental() -%}
        inner join carried as c
            on
                p.project_code = c.project_code
                and w.week_start between c.series_from and c.to_week
    {%- endif %}
),

-- one record an agency and week, then the lead's, else that of the largest participant (E7)
told_by_agency as (
    select distinct on (n.project_code, n.period_start, n.agency_code)
        n.project_code,
        n.period_start as week_start,
        n.agency_code,
        n.planned_pct,
        n.actual_pct,
        n.has_output,
        coalesce(b.is_lead, false) as is_lead,
        b.agency_code is not null as is_in_bridge,
        coalesce(b.allocation_weight, 0) as allocation_weight
    from national as n
    left join bridge as b on n.project_code = b.project_code and n.agency_code = b.agency_code
    order by
        n.project_code asc, n.period_start asc, n.agency_code asc,
        n.received_at desc, n.source asc, n.load_id desc, n.record_no desc
),

governing as (
    select distinct on (project_code, week_start) *
    from told_by_agency
    order by project_code asc, week_start asc, is_lead desc, allocation_weight desc, agency_code asc
),

conflicts as (
    select
        t.project_code,
        t.week_start,
        (count(*) filter (where t.actual_pct <> g.actual_pct))::integer as conflicting_agencies,
        (count(*) filter (where t.is_in_bridge))::integer as reporters_received
    from told_by_agency as t
    inner join governing as g
        on t.project_code = g.project_code and t.week_start = g.week_start
    group by t.project_code, t.week_start
),

duties as (
    select
        b.project_code,
        b.agency_code,
        bool_or(s.retired_on is null) as is_standing,
        max(s.retired_on) as retired_on
    from bridge as b
    inner join sources as s on b.agency_code = s.agency_code and s.kind = 'progress'
    group by b.project_code, b.agency_code
),

expected as (
    select
        g.project_code,
        g.week_start,
        (count(d.agency_code))::integer as reporters_expected
    from grid as g
    left join duties as d
        on g.project_code = d.project_code and (d.is_standing or g.week_start <= d.retired_on)
    group by g.project_code, g.week_start
),

-- the plan at each week's Friday: original, and the one in force then
plans as (
    select distinct on (g.project_code, g.week_start, b.is_original_wanted)
        g.project_code,
        g.week_start,
        b.is_original_wanted,
        b.revision,
        b.last_week_no,
        (g.week_start - b.week_zero_start) / 7 as plan_week_no
    from grid as g
    inner join (
        select distinct
            v.project_code,
            v.revision,
            v.effective_from,
            v.week_zero_start,
            v.last_week_no,
            wanted.is_original_wanted
        from baseline as v
        cross join (values (true), (false)) as wanted (is_original_wanted)
        where v.is_original or not wanted.is_original_wanted
    ) as b
        on g.project_code = b.project_code
    where
        b.is_original_wanted
        or b.revision = 0
        or b.effective_from <= g.friday_on
    order by g.project_code asc, g.week_start asc, b.is_original_wanted asc, b.revision desc
),

planned as (
    select
        p.project_code,
        p.week_start,
        p.is_original_wanted,
        p.revision,
        p.last_week_no,
        p.plan_week_no,
        b.planned_pct
    from plans as p
    inner join baseline as b
        on
            p.project_code = b.project_code
            and p.revision = b.revision
            and b.week_no = least(greatest(p.plan_week_no, 0), p.last_week_no)
),

told as (
    select
        g.project_code,
        g.week_start,
        g.week_label,
        v.actual_pct,
        v.has_output,
        v.project_code is not null as is_told,
        v.is_lead,
        coalesce(v.planned_pct, current_plan.planned_pct) as planned_pct,
        case
            when v.planned_pct is not null then 'reported'
            when current_plan.planned_pct is not null then 'baseline'
        end as planned_basis,
        original_plan.planned_pct as planned_original_pct,
        current_plan.planned_pct as planned_current_pct,
        current_plan.revision,
        current_plan.plan_week_no,
        current_plan.last_week_no
    from grid as g
    left join governing as v
        on g.project_code = v.project_code and g.week_start = v.week_start
    left join planned as current_plan
        on
            g.project_code = current_plan.project_code
            and g.week_start = current_plan.week_start
            and not current_plan.is_original_wanted
    left join planned as original_plan
        on
            g.project_code = original_plan.project_code
            and g.week_start = original_plan.week_start
            and original_plan.is_original_wanted
),

-- the series of reported weeks: those with a figure
reported as (
    select
        project_code,
        week_start,
        actual_pct,
        planned_pct,
        row_number() over series as report_no,
        lag(actual_pct) over series as previous_pct,
        array_agg(actual_pct) over last_six as actuals,
        array_agg(planned_pct) over last_six as plans,
        array_agg(week_start) over last_six as weeks
    from told
    where actual_pct is not null
    window
        series as (partition by project_code order by week_start),
        last_six as (series rows between 5 preceding and current row)
),

runs as (
    select
        *,
        sum((actual_pct is distinct from previous_pct)::integer) over series as run_no,
        sum((actual_pct < previous_pct)::integer) over series as regressions
    from reported
    window series as (partition by project_code order by week_start)
),

stagnation as (
    select
        *,
        (row_number() over run)::integer as weeks_stagnant,
        first_value(planned_pct) over run as planned_at_start_pct
    from runs
    window run as (partition by project_code, run_no order by week_start)
),

wanted as (
    select
        t.*,
        s.report_no,
        coalesce(s.weeks_stagnant, 0) as weeks_stagnant,
        s.planned_at_start_pct,
        (
            coalesce(max(s.regressions) over series, 0)
            {%- if is_incremental() %} + c.regressions{% endif %}
        )::integer as regressions,
        {% if is_incremental() -%}
            c.has_output as has_output_before,
        {% endif -%}
        count(t.has_output) over series as outputs_known
    from told as t
    left join stagnation as s on t.project_code = s.project_code and t.week_start = s.week_start
    {% if is_incremental() -%}
        inner join carried as c on t.project_code = c.project_code
    {% endif -%}
    window series as (partition by t.project_code order by t.week_start)
),

known as (
    select
        w.*,
        {% if is_incremental() -%}
            case when w.outputs_known = 0 then w.has_output_before else
        {% endif -%}
        first_value(w.has_output) over (
            partition by w.project_code, w.outputs_known order by w.week_start
        )
        {%- if is_incremental() %} end{% endif %} as has_output_known
    from wanted as w
),

shown as (
    select k.*
    from known as k
    {% if is_incremental() -%}
        inner join affected as a
            on k.project_code = a.project_code and k.week_start = a.week_start
    {%- endif %}
),

-- Theil-Sen over the last six reported weeks: median slope of all pairs, per week
trends as (
    select
        s.project_code,
        s.week_start,
        {{ median('pairs.actual_slope') }} as trend_pct_per_week,
        {{ median('pairs.planned_slope') }} as plan_trend_pct_per_week
    from shown as s
    inner join reported as r on s.project_code = r.project_code and s.week_start = r.week_start
    cross join lateral (
        select
            {{ ratio(
                'r.actuals[later.no] - r.actuals[earlier.no]',
                '(r.weeks[later.no] - r.weeks[earlier.no]) / 7'
            ) }} as actual_slope,
            {{ ratio(
                'r.plans[later.no] - r.plans[earlier.no]',
                '(r.weeks[later.no] - r.weeks[earlier.no]) / 7'
            ) }} as planned_slope
        from generate_series(1, 5) as earlier (no)
        cross join generate_series(2, 6) as later (no)
        where earlier.no < later.no and later.no <= cardinality(r.weeks)
    ) as pairs
    where s.report_no >= 3
    group by s.project_code, s.week_start
),

-- earned schedule on the baseline in force that week
reached as (
    select
        s.project_code,
        s.week_start,
        max(b.week_no) filter (where b.planned_pct <= s.actual_pct) as last_reached_no,
        min(b.week_no) filter (where b.planned_pct >= final.planned_pct) as complete_no,
        max(final.planned_pct) as budget_pct
    from shown as s
    inner join baseline as b on s.project_code = b.project_code and s.revision = b.revision
    inner join baseline as final
        on
            s.project_code = final.project_code
            and s.revision = final.revision
            and s.last_week_no = final.week_no
    where s.actual_pct is not null
    group by s.project_code, s.week_start
),

earned as (
    select
        s.project_code,
        s.week_start,
        case
            when s.actual_pct = 0 then 0
            when s.actual_pct >= r.budget_pct then r.complete_no
            else
                r.last_reached_no
                + coalesce({{ ratio(
                    's.actual_pct - here.planned_pct', 'following.planned_pct - here.planned_pct'
                ) }}, 0)
        end as earned_schedule_weeks
    from shown as s
    inner join reached as r on s.project_code = r.project_code and s.week_start = r.week_start
    left join baseline as here
        on
            s.project_code = here.project_code
            and s.revision = here.revision
            and r.last_reached_no = here.week_no
    left join baseline as following
        on
            s.project_code = following.project_code
            and s.revision = following.revision
            and r.last_reached_no + 1 = following.week_no
),

computed as (
    select
        s.project_code,
        s.week_start,
        s.week_label,
        s.planned_pct,
        s.actual_pct,
        s.actual_pct - s.planned_pct as variance_pct,
        {{ ratio('s.actual_pct', 's.planned_pct') }} as spi,
        case
            when not s.is_told then null
            when s.is_lead then 'lead'
            else 'participant'
        end as value_basis,
        s.planned_basis,
        s.planned_original_pct,
        s.planned_current_pct,
        s.actual_pct - s.planned_original_pct as slippage_original_pct,
        e.earned_schedule_weeks,
        s.plan_week_no as actual_time_weeks,
        case
            when s.plan_week_no > 0
                then {{ ratio('e.earned_schedule_weeks', 's.plan_week_no') }}
        end as spi_t,
        case
            when s.actual_pct is null then 'no_value'
            when s.revision is null then 'no_baseline'
            when s.plan_week_no <= 0 then 'not_started'
        end as spi_t_reason,
        t.trend_pct_per_week,
        t.plan_trend_pct_per_week,
        case
            when t.trend_pct_per_week is null then 'insufficient'
            when t.trend_pct_per_week < 0 then 'unfavourable'
            -- thirds have no last digit: exactly half of the plan's pace must not fall below it
            when round(t.trend_pct_per_week, 12) < round(t.plan_trend_pct_per_week / 2, 12)
                then 'unfavourable'
            else 'favourable'
        end as trend_state,
        s.weeks_stagnant,
        (s.weeks_stagnant >= 4 and coalesce(s.planned_pct > s.planned_at_start_pct, false))
            as is_stagnant,
        s.regressions,
        s.has_output_known as has_output,
        coalesce(c.conflicting_agencies, 0) as conflicting_agencies,
        x.reporters_expected,
        coalesce(c.reporters_received, 0) as reporters_received,
        {{ ratio('coalesce(c.reporters_received, 0)', 'x.reporters_expected') }} as coverage,
        {{ status_band('s.actual_pct', 's.actual_pct - s.planned_pct') }} as status_band
    from shown as s
    inner join expected as x on s.project_code = x.project_code and s.week_start = x.week_start
    left join conflicts as c on s.project_code = c.project_code and s.week_start = c.week_start
    left join trends as t on s.project_code = t.project_code and s.week_start = t.week_start
    left join earned as e on s.project_code = e.project_code and s.week_start = e.week_start
)

-- rounded here and nowhere else, halves away from zero
select
    project_code,
    week_start,
    week_label,
    planned_pct::numeric(9, 4) as planned_pct,
    actual_pct::numeric(9, 4) as actual_pct,
    variance_pct::numeric(9, 4) as variance_pct,
    spi::numeric(38, 6) as spi,
    value_basis,
    planned_basis,
    planned_original_pct::numeric(9, 4) as planned_original_pct,
    planned_current_pct::numeric(9, 4) as planned_current_pct,
    slippage_original_pct::numeric(9, 4) as slippage_original_pct,
    earned_schedule_weeks::numeric(12, 6) as earned_schedule_weeks,
    actual_time_weeks,
    spi_t::numeric(12, 6) as spi_t,
    spi_t_reason,
    trend_pct_per_week::numeric(12, 6) as trend_pct_per_week,
    plan_trend_pct_per_week::numeric(12, 6) as plan_trend_pct_per_week,
    trend_state,
    weeks_stagnant,
    is_stagnant,
    regressions,
    has_output,
    conflicting_agencies,
    reporters_expected,
    reporters_received,
    coverage::numeric(9, 6) as coverage,
    status_band
from computed
