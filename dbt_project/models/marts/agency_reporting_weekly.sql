{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('agency_reporting_weekly') }}",
    indexes=[
        {'columns': ['source', 'period_start', 'period_kind'], 'type': 'btree'},
        {'columns': ['period_start'], 'type': 'btree'}
    ]
) }}
{% for kind in record_kinds() -%}
-- depends_on: {{ ref('stg_' ~ kind) }}
{% endfor -%}

with

sources as (
    select * from {{ ref('stg_source') }}
),

weeks as (
    select * from {{ ref('dim_week') }}
),

owed as (
    {{ owed_reports() }}
),

records as (
    {% for kind in record_kinds() -%}
        select
            r.source,
            r.period_kind,
            r.period_start,
            r.load_id,
            r.received_at,
            r.first_received_at,
            r.is_retracted,
            r.cells_required,
            r.cells_filled
        from {{ ref('int_' ~ kind ~ '_latest') }} as r
        {% if is_incremental() -%}
            inner join {{ affected('agency_reporting_weekly') }} as a
                on
                    r.source = a.source
                    and r.period_start = a.period_start
                    and r.period_kind = a.period_kind
        {% endif -%}
        where r.period_kind <> 'week' or r.period_start <= {{ as_of_week() }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

received as (
    select
        source,
        period_kind,
        period_start,
        min(first_received_at) as first_received_at,
        max(received_at) as latest_received_at,
        (array_agg(load_id order by received_at desc, load_id desc))[1] as latest_load_id,
        count(*) filter (where not is_retracted)::integer as records,
        coalesce(sum(cells_required) filter (where not is_retracted), 0)::integer
            as cells_required,
        coalesce(sum(cells_filled) filter (where not is_retracted), 0)::integer as cells_filled
    from records
    group by source, period_kind, period_start
),

reports as (
    select
        coalesce(o.source, r.source) as source,
        coalesce(o.period_kind, r.period_kind) as period_kind,
        coalesce(o.period_start, r.period_start) as period_start,
        (o.source is not null)::integer as expected,
        coalesce(o.extra_hours, 0) as extra_hours,
        (r.source is not null)::integer as received,
        r.first_received_at,
        r.latest_received_at,
        r.latest_load_id,
        coalesce(r.records, 0) as records,
        coalesce(r.cells_required, 0) as cells_required,
        coalesce(r.cells_filled, 0) as cells_filled
    from (
        select o.*
        from owed as o
        {% if is_incremental() -%}
            inner join {{ affected('agency_reporting_weekly') }} as a
                on
                    o.source = a.source
                    and o.period_start = a.period_start
                    and o.period_kind = a.period_kind
        {%- endif %}
    ) as o
    full outer join received as r
        on
            o.source = r.source
            and o.period_kind = r.period_kind
            and o.period_start = r.period_start
),

-- the same figure in four reported weeks running while the plan rose (trap K3); inlined, so that
-- each look back goes through the index
progress as not materialized (
    select
        source,
        period_kind,
        period_start,
        project_code,
        agency_code,
        province_code,
        activity,
        planned_pct,
        actual_pct
    from {{ ref('int_progress_latest') }}
    where not is_retracted and actual_pct is not null
),

copied as (
    {% if is_incremental() -%}
        select
            p.source,
            p.period_kind,
            p.period_start
        from {{ affected('agency_reporting_weekly') }} as a
        inner join progress as p
            on
                a.source = p.source
                and a.period_start = p.period_start
                and a.period_kind = p.period_kind
        cross join lateral (
            select
                count(*) as reports,
                min(earlier.actual_pct) as lowest_pct,
                max(earlier.actual_pct) as highest_pct,
                (array_agg(earlier.planned_pct order by earlier.period_start))[1] as planned_pct
            from (
                select
                    b.period_start,
                    b.actual_pct,
                    b.planned_pct
                from progress as b
                where
                    b.project_code = p.project_code
                    and b.province_code = p.province_code
                    and b.source = p.source
                    and b.agency_code = p.agency_code
                    and b.activity = p.activity
                    and b.period_start < p.period_start
                order by b.period_start desc
                limit 3
            ) as earlier
        ) as before
        where
            before.reports = 3
            and before.lowest_pct = p.actual_pct
            and before.highest_pct = p.actual_pct
            and p.planned_pct > before.planned_pct
    {%- else -%}
        select
            source,
            period_kind,
            period_start
        from (
            select
                source,
                period_kind,
                period_start,
                actual_pct,
                planned_pct,
                lag(actual_pct, 1) over series as one_before_pct,
                lag(actual_pct, 2) over series as two_before_pct,
                lag(actual_pct, 3) over series as three_before_pct,
                lag(planned_pct, 3) over series as planned_before_pct
            from progress
            window series as (
                partition by source, project_code, agency_code, province_code, activity
                order by period_start
            )
        ) as told
        where
            actual_pct = one_before_pct
            and actual_pct = two_before_pct
            and actual_pct = three_before_pct
            and planned_pct > planned_before_pct
    {%- endif %}
),

copied_forward as (
    select
        source,
        period_kind,
        period_start,
        count(*)::integer as records
    from copied
    group by source, period_kind, period_start
),

-- the latest load that speaks of a period tells what is still unreadable in it: a history that is
-- sent again every night doesn't count its old faults again
quarantine as (
    select
        q.source,
        q.period_kind,
        q.period_start,
        q.quarantined_rows,
        q.quarantined_cells,
        q.received_at,
        q.load_id,
        row_number() over (
            partition by q.source, q.period_kind, q.period_start
            order by q.received_at desc, q.load_id desc
        ) as newest
    from {{ ref('int_quarantine_period') }} as q
    {% if is_incremental() -%}
        inner join {{ affected('agency_reporting_weekly') }} as a
            on
                q.source = a.source
                and q.period_start = a.period_start
                and q.period_kind = a.period_kind
    {%- endif %}
),

judged as (
    select
        s.agency_code,
        r.source,
        r.period_kind,
        r.period_start,
        w.week_label,
        s.is_simulated,
        r.expected,
        r.received,
        s.grace_hours,
        case
            when r.expected = 1 then {{ due_at('r.period_start', 's.due_hours + r.extra_hours') }}
        end as due_at,
        r.first_received_at,
        r.records,
        r.cells_required,
        r.cells_filled,
        coalesce(c.records, 0) as copied_forward,
        coalesce(q.quarantined_rows, 0) as quarantined_rows,
        coalesce(q.quarantined_cells, 0) as quarantined_cells
    from reports as r
    inner join sources as s on r.source = s.source
    {% if is_incremental() -%}
        inner join {{ affected('agency_reporting_weekly') }} as a
            on
                r.source = a.source
                and r.period_start = a.period_start
                and r.period_kind = a.period_kind
    {% endif -%}
    left join weeks as w on r.period_kind = 'week' and r.period_start = w.week_start
    left join copied_forward as c
        on
            r.source = c.source
            and r.period_kind = c.period_kind
            and r.period_start = c.period_start
    left join quarantine as q
        on
            r.source = q.source
            and r.period_kind = q.period_kind
            and r.period_start = q.period_start
            and q.newest = 1
            and (
                r.latest_load_id is null
                or (q.received_at, q.load_id) >= (r.latest_received_at, r.latest_load_id)
            )
),

timed as (
    select
        *,
        case
            when
                expected = 1 and received = 1
                and first_received_at <= due_at + grace_hours::double precision * interval '1 hour'
                then 1
            else 0
        end as on_time
    from judged
),

computed as (
    select
        agency_code,
        source,
        period_kind,
        period_start,
        week_label,
        is_simulated,
        expected,
        received,
        on_time,
        (expected = 1 and received = 0) as is_missing,
        due_at,
        first_received_at,
        case
            when expected = 0 or received = 0 then null
            when on_time = 1 then 0
            else {{ ratio('extract(epoch from first_received_at - due_at)', '3600') }}
        end as late_hours,
        records,
        cells_required,
        cells_filled,
        {{ ratio('cells_filled', 'cells_required') }} as cell_completeness,
        copied_forward,
        quarantined_rows,
        quarantined_cells,
        {{ ratio('received', 'expected') }} as reporting_rate,
        {{ ratio('on_time', 'expected') }} as on_time_rate
    from timed
)

-- rounded here and nowhere else, halves away from zero
select
    agency_code,
    source,
    period_kind,
    period_start,
    week_label,
    is_simulated,
    expected,
    received,
    on_time,
    is_missing,
    due_at,
    first_received_at,
    late_hours::numeric(12, 2) as late_hours,
    records,
    cells_required,
    cells_filled,
    cell_completeness::numeric(9, 6) as cell_completeness,
    copied_forward,
    quarantined_rows,
    quarantined_cells,
    reporting_rate::numeric(9, 6) as reporting_rate,
    on_time_rate::numeric(9, 6) as on_time_rate
from computed
