with

named_projects as not materialized (
    select p.project_code
    from {{ ref('project') }} as p
    where p.is_named
),

national as not materialized (
    select
        s.*,
        coalesce(b.is_lead, false) as is_lead,
        coalesce(b.allocation_weight, 0) as allocation_weight,
        b.agency_code is not null as is_in_bridge
    from (
        {{ records_as_of('progress', ['project_code', 'province_code']) }}
    ) as s
    inner join named_projects as p on s.project_code = p.project_code
    left join {{ ref('project_agency') }} as b
        on s.project_code = b.project_code and s.agency_code = b.agency_code
    where s.province_code = '' and s.activity = ''
),

grid as not materialized (
    select
        p.project_code,
        w.week_start,
        w.jalali_year
    from {{ ref('project') }} as p
    cross join {{ ref('dim_week') }} as w
),

governing as not materialized (
    select
        g.project_code,
        g.week_start,
        r.load_id,
        r.record_no,
        r.planned_pct,
        r.actual_pct
    from grid as g
    cross join lateral (
        select n.*
        from national as n
        where n.project_code = g.project_code and n.period_start = g.week_start
        order by
            n.is_lead desc, n.allocation_weight desc, n.agency_code asc,
            n.received_at desc, n.source asc, n.load_id desc, n.record_no desc
        limit 1
    ) as r
),

-- the governing records of the reported weeks up to each week, newest first
series as not materialized (
    select
        g.project_code,
        g.week_start,
        r.load_id,
        r.record_no,
        r.actual_pct,
        r.has_output,
        r.planned_pct,
        r.period_start as told_on,
        r.back_no,
        r.output_no,
        r.other_figures,
        r.newest_week
    from grid as g
    cross join lateral (
        select
            told.*,
            count(told.actual_pct) over newest_first as back_no,
            count(told.has_output) over newest_first as output_no,
            max(told.period_start) over () as newest_week,
            count(*) filter (
                where told.actual_pct <> (
                    select here.actual_pct
                    from governing as here
                    where
                        here.project_code = g.project_code
                        and here.week_start = g.week_start
                )
            ) over newest_first as other_figures
        from (
            select distinct on (n.period_start) n.*
            from national as n
            where n.project_code = g.project_code and n.period_start <= g.week_start
            order by
                n.period_start asc,
                n.is_lead desc, n.allocation_weight desc, n.agency_code asc,
                n.received_at desc, n.source asc, n.load_id desc, n.record_no desc
        ) as told
        window newest_first as (order by told.period_start desc)
    ) as r
),

points as not materialized (
    select distinct on (s.project_code, s.revision, s.period_start)
        s.project_code,
        s.revision,
        s.period_start as point_on,
        s.load_id,
        s.record_no
    from (
        {{ records_as_of('target', ['project_code']) }}
    ) as s
    inner join named_projects as p on s.project_code = p.project_code
    where s.province_code = '' and s.target is not null
    order by
        s.project_code asc, s.revision asc, s.period_start asc,
        s.received_at desc, s.source asc, s.load_id desc, s.record_no desc
),

-- first day of force of each revision
revisions as not materialized (
    select
        s.project_code,
        s.revision,
        min(s.effective_from) as effective_from
    from (
        {{ records_as_of('target', ['project_code']) }}
    ) as s
    where s.province_code = '' and s.target is not null
    group by s.project_code, s.revision
),

plans as not materialized (
    select
        g.project_code,
        g.week_start,
        'original' as plan,
        o.revision
    from grid as g
    cross join lateral (
        select v.revision
        from revisions as v
        where v.project_code = g.project_code
        order by v.revision
        limit 1
    ) as o
    union all
    select
        g.project_code,
        g.week_start,
        'current' as plan,
        c.revision
    from grid as g
    cross join lateral (
        select v.revision
        from revisions as v
        where
            v.project_code = g.project_code
            and (v.revision = 0 or v.effective_from <= g.week_start + 6)
        order by v.revision desc
        limit 1
    ) as c
),

-- the two points around the week's Friday, weighted by nearness; one beyond the plan's ends, where
-- the first says that nothing was planned before it
planned as not materialized (
    select
        l.project_code,
        l.week_start,
        l.plan,
        around.load_id,
        around.record_no,
        around.weight
    from plans as l
    cross join lateral (
        select
            t.load_id,
            t.record_no,
            case
                when t.next_on is null and t.point_on <= l.week_start + 6 then 1
                when t.last_on is null and t.point_on > l.week_start + 6 then 0
                when t.point_on <= l.week_start + 6
                    then {{ ratio('t.next_on - (l.week_start + 6)', 't.next_on - t.point_on') }}
                else {{ ratio('l.week_start + 6 - t.last_on', 't.point_on - t.last_on') }}
            end as weight
        from (
            select
                p.*,
                lead(p.point_on) over (order by p.point_on) as next_on,
                lag(p.point_on) over (order by p.point_on) as last_on
            from points as p
            where p.project_code = l.project_code and p.revision = l.revision
        ) as t
        where
            (
                t.point_on <= l.week_start + 6
                and (t.next_on is null or t.next_on > l.week_start + 6)
            )
            or (
                t.point_on > l.week_start + 6
                and (t.last_on is null or t.last_on <= l.week_start + 6)
            )
    ) as around
)

select
    r.project_code,
    r.week_start,
    c.mart_column,
    c.role,
    'progress' as kind,
    r.load_id,
    r.record_no,
    c.field,
    null::numeric as weight
from governing as r
cross join {{ lineage_columns([
    ('actual_pct', 'value', 'actual_pct'),
    ('variance_pct', 'value', 'actual_pct'),
    ('spi', 'value', 'actual_pct'),
    ('status_band', 'value', 'actual_pct'),
    ('value_basis', 'value', 'agency_code'),
    ('slippage_original_pct', 'value', 'actual_pct'),
    ('earned_schedule_weeks', 'value', 'actual_pct'),
    ('spi_t', 'value', 'actual_pct'),
    ('spi_t_reason', 'value', 'actual_pct'),
    ('planned_pct', 'plan', 'planned_pct'),
    ('planned_basis', 'plan', 'planned_pct'),
    ('variance_pct', 'plan', 'planned_pct'),
    ('spi', 'plan', 'planned_pct'),
    ('status_band', 'plan', 'planned_pct')
]) }}
where c.role <> 'plan' or r.planned_pct is not null

union all

-- the plan behind a week: of the baseline in force, or where nobody reports one, of the figure
select
    l.project_code,
    l.week_start,
    c.mart_column,
    c.role,
    'target' as kind,
    l.load_id,
    l.record_no,
    'target' as field,
    l.weight
from planned as l
cross join {{ lineage_columns([
    ('planned_original_pct', 'baseline', 'original'),
    ('slippage_original_pct', 'baseline', 'original'),
    ('planned_current_pct', 'baseline', 'current'),
    ('planned_pct', 'plan', 'current'),
    ('planned_basis', 'plan', 'current'),
    ('variance_pct', 'plan', 'current'),
    ('spi', 'plan', 'current'),
    ('status_band', 'plan', 'current')
]) }}
where
    c.field = l.plan
    and (
        c.role = 'baseline'
        or not exists (
            select
            from governing as r
            where
                r.project_code = l.project_code
                and r.week_start = l.week_start
                and r.planned_pct is not null
        )
    )

union all

select
    l.project_code,
    l.week_start,
    c.mart_column,
    c.role,
    'target' as kind,
    t.load_id,
    t.record_no,
    c.field,
    null::numeric as weight
from plans as l
inner join points as t on l.project_code = t.project_code and l.revision = t.revision
cross join {{ lineage_columns([
    ('earned_schedule_weeks', 'baseline', 'target'),
    ('spi_t', 'baseline', 'target'),
    ('spi_t_reason', 'baseline', 'target'),
    ('actual_time_weeks', 'baseline', 'period_start')
]) }}
where l.plan = 'current'

union all

select
    s.project_code,
    s.week_start,
    c.mart_column,
    c.role,
    'progress' as kind,
    s.load_id,
    s.record_no,
    c.field,
    null::numeric as weight
from series as s
cross join {{ lineage_columns([
    ('trend_pct_per_week', 'reported week', 'actual_pct'),
    ('plan_trend_pct_per_week', 'reported week', 'planned_pct'),
    ('trend_state', 'reported week', 'actual_pct'),
    ('trend_state', 'plan', 'planned_pct'),
    ('weeks_stagnant', 'reported week', 'actual_pct'),
    ('is_stagnant', 'reported week', 'actual_pct'),
    ('is_stagnant', 'plan', 'planned_pct'),
    ('regressions', 'reported week', 'actual_pct'),
    ('has_output', 'latest known', 'has_output')
]) }}
where
    case
        when c.mart_column like '%trend%'
            then
                s.actual_pct is not null and s.back_no <= 6 and s.newest_week = s.week_start
        when c.mart_column like '%stagnant'
            then
                s.actual_pct is not null and s.other_figures = 0 and s.newest_week = s.week_start
        when c.mart_column = 'regressions' then s.actual_pct is not null
        else s.has_output is not null and s.output_no = 1
    end

union all

-- the baseline behind a reported week whose report tells no plan
select
    s.project_code,
    s.week_start,
    c.mart_column,
    c.role,
    'target' as kind,
    l.load_id,
    l.record_no,
    c.field,
    l.weight
from series as s
cross join lateral (
    select p.*
    from planned as p
    where
        p.project_code = s.project_code and p.week_start = s.told_on and p.plan = 'current'
    -- by week: reports without a plan are few, and all weeks of all plans are many
    order by p.load_id, p.record_no
    offset 0
) as l
cross join {{ lineage_columns([
    ('plan_trend_pct_per_week', 'plan', 'target'),
    ('trend_state', 'plan', 'target'),
    ('is_stagnant', 'plan', 'target')
]) }}
where
    s.planned_pct is null
    and s.actual_pct is not null
    and s.newest_week = s.week_start
    and case
        when c.mart_column = 'is_stagnant' then s.other_figures = 0
        else s.back_no <= 6
    end

union all

select
    n.project_code,
    n.period_start as week_start,
    c.mart_column,
    c.role,
    'progress' as kind,
    n.load_id,
    n.record_no,
    c.field,
    null::numeric as weight
from national as n
cross join {{ lineage_columns([
    ('conflicting_agencies', 'value', 'actual_pct'),
    ('reporters_received', 'report', 'period_start'),
    ('coverage', 'report', 'period_start')
]) }}
where c.role = 'value' or n.is_in_bridge

union all

select
    g.project_code,
    g.week_start,
    c.mart_column,
    c.role,
    'reference:project_agency' as kind,
    null::bigint as load_id,
    null::integer as record_no,
    b.project_code || ' / ' || b.agency_code as field,
    b.allocation_weight as weight
from grid as g
inner join {{ ref('project_agency') }} as b on g.project_code = b.project_code
cross join {{ lineage_columns([
    ('reporters_expected', 'duty', ''),
    ('coverage', 'duty', ''),
    ('value_basis', 'rule', '')
]) }}

union all

select
    g.project_code,
    g.week_start,
    c.mart_column,
    c.role,
    c.field as kind,
    null::bigint as load_id,
    null::integer as record_no,
    case c.field
        when 'reference:official_leap_year' then 'first day of ' || g.jalali_year
        when 'reference:source' then 'sources of kind progress'
        else 'variance limits of the bands'
    end as field,
    null::numeric as weight
from grid as g
cross join {{ lineage_columns([
    ('week_label', 'calendar', 'reference:official_leap_year'),
    ('reporters_expected', 'duty', 'reference:source'),
    ('coverage', 'duty', 'reference:source'),
    ('status_band', 'rule', 'reference:status_band')
]) }}
