with

weights as not materialized (
    select distinct
        index_name,
        component
    from {{ ref('scorecard_weight') }}
),

-- the weeks that the scorecard has, not those of the calendar
shown as not materialized (
    select distinct week_start from {{ ref('project_progress_weekly') }}
),

parts as not materialized (
    {{ inherited_line(
        'b.agency_code, l.week_start, k.component', "'value'",
        ref('project_agency') ~ " as b
        inner join " ~ ref('lineage_project_progress_weekly') ~ " as l
            on b.project_code = l.project_code
        inner join (
            values
            ('progress', 'actual_pct'), ('progress', 'planned_pct'), ('schedule', 'spi_t')
        ) as k (component, of_column) on l.mart_column = k.of_column", role='k.of_column'
    ) }}
    where b.is_lead
    union all
    {{ inherited_line(
        'l.agency_code, w.week_start, k.component', "'value'",
        ref('lineage_agency_reporting_weekly') ~ " as l
        inner join shown as w
            on l.period_start between w.week_start - 21 and w.week_start
        inner join (
            values
            ('on_time', 'on_time'), ('on_time', 'expected'),
            ('completeness', 'cells_filled'), ('completeness', 'cells_required'),
            ('freshness', 'copied_forward'), ('freshness', 'records')
        ) as k (component, of_column) on l.mart_column = k.of_column", role='k.of_column'
    ) }}
    where l.period_kind = 'week'
    union all
    {{ inherited_line(
        "l.agency_code, w.week_start, 'obligations' as component", "'value'",
        ref('lineage_obligation_status') ~ " as l
        cross join shown as w"
    ) }}
    where l.mart_column = 'state'
)

select
    p.agency_code,
    p.week_start,
    k.index_name,
    p.component,
    c.mart_column,
    p.role,
    p.kind,
    p.load_id,
    p.record_no,
    p.field,
    p.weight
from parts as p
inner join weights as k on p.component = k.component
cross join (values ('value'), ('contribution')) as c (mart_column)

union all

{{ reference_line('a.agency_code, w.week_start, k.index_name, k.component', [
    ('weight', 'weight', 'reference:scorecard_weight'),
    ('contribution', 'weight', 'reference:scorecard_weight')
], "k.index_name || ' ' || k.component", ref('agency') ~ ' as a
    cross join shown as w
    cross join weights as k') }}

union all

-- a contribution is a share of the weights of all components that have a value
{{ reference_line('a.agency_code, w.week_start, k.index_name, k.component', [
    ('contribution', 'beside it', 'figure:agency_scorecard_component')
], "'value agency_code=' || a.agency_code || ' week_start=' || w.week_start
        || ' index_name=' || k.index_name || ' component=' || o.component",
ref('agency') ~ ' as a
    cross join shown as w
    cross join weights as k
    inner join weights as o on k.index_name = o.index_name and k.component <> o.component') }}
