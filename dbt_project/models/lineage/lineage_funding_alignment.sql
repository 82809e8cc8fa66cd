with

facts as not materialized (
    select
        case when r.province_code <> '' then 'province' else 'agency' end as level,
        case when r.province_code <> '' then r.province_code else r.agency_code end as code,
        r.*
    from {{ ref('stg_funding_as_of') }} as r
),

-- the last week of each period; the release that is asked for may end before it
weeks as not materialized (
    select
        f.level,
        f.code,
        f.period_kind,
        f.period_start,
        (
            select max(w.week_start)
            from {{ ref('dim_week') }} as w
            inner join (
                select b.as_of_week
                from {{ source('history', 'release') }} as b
                inner join {{ ref('stg_release_known') }} as k on b.release_no = k.release_no
            ) as shown on w.week_start <= shown.as_of_week
            where
                w.week_start >= f.period_start
                and w.week_start <= case f.period_kind
                    when 'week' then f.period_start + 6
                    when 'jalali_month'
                        then
                            f.period_start - 1
                            + {{ jalali_month_length(jalali_month('f.period_start', 'y'), 'y') }}
                    when 'jalali_year'
                        then f.period_start + case when y.is_leap then 365 else 364 end
                    when 'gregorian_year'
                        then (date_trunc('year', f.period_start) + interval '1 year')::date - 1
                    else f.period_start
                end
        ) as week_start
    from (
        select distinct
            t.level,
            t.code,
            t.period_kind,
            t.period_start
        from facts as t
    ) as f
    inner join {{ ref('official_leap_year') }} as y
        on {{ in_jalali_year('f.period_start', 'y') }}
)

{{ record_line('r.level, r.code, r.period_kind, r.period_start', 'funding', [
    ('allocated_rial', 'value', 'allocated_rial'),
    ('released_rial', 'value', 'released_rial'),
    ('spent_rial', 'value', 'spent_rial'),
    ('released_share', 'numerator', 'released_rial'),
    ('released_share', 'denominator', 'allocated_rial'),
    ('paid_share', 'numerator', 'spent_rial'),
    ('paid_share', 'denominator', 'allocated_rial'),
    ('gap', 'numerator', 'spent_rial'),
    ('gap', 'denominator', 'allocated_rial'),
    ('null_reason', 'value', 'allocated_rial'),
    ('null_reason', 'value', 'spent_rial')
], 'facts as r') }}

union all

{{ inherited_line(
    'f.level, f.code, f.period_kind, f.period_start', 'c.mart_column',
    "weeks as f
    inner join " ~ ref('project_agency') ~ " as b on f.code = b.agency_code and b.is_lead
    inner join " ~ ref('project') ~ " as p on b.project_code = p.project_code
    inner join " ~ ref('lineage_project_progress_weekly') ~ " as l
        on b.project_code = l.project_code and f.week_start = l.week_start
    cross join (
        values ('realisation_share'), ('realisation_coverage'), ('gap'), ('null_reason')
    ) as c (mart_column)", role="'realised'", weight='p.weight'
) }}
where f.level = 'agency' and l.mart_column = 'actual_pct'

union all

-- the week of each led project at which it is looked, told or not
{{ reference_line('f.level, f.code, f.period_kind, f.period_start', [
    ('realisation_share', 'led project', 'reference:project'),
    ('realisation_coverage', 'led project', 'reference:project'),
    ('gap', 'led project', 'reference:project'),
    ('null_reason', 'led project', 'reference:project')
], "b.project_code || ' ' || f.week_start", "weeks as f
    inner join " ~ ref('project_agency') ~ " as b on f.code = b.agency_code and b.is_lead
    inner join " ~ ref('project_progress_weekly') ~ " as p
        on b.project_code = p.project_code and f.week_start = p.week_start") }}
where f.level = 'agency'

union all

{{ inherited_line(
    'f.level, f.code, f.period_kind, f.period_start', 'c.mart_column',
    "weeks as f
    inner join " ~ ref('lineage_project_province_weekly') ~ " as l
        on f.code = l.province_code and f.week_start = l.week_start
    cross join (
        values ('realisation_share'), ('realisation_coverage'), ('gap'), ('null_reason')
    ) as c (mart_column)", role="'realised'"
) }}
where f.level = 'province' and l.mart_column = 'actual_pct'
