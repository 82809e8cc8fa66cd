{{ config(
    materialized='incremental',
    tags=['made_once'],
    incremental_strategy='append',
    on_schema_change='fail'
) }}

with

-- the tabular lunar calendar, civil epoch: day numbers from 2023-02-24, Julian day 2460000
computed as (
    select
        y.hijri_year,
        m.hijri_month,
        date '2023-02-24' + (
            (11 * y.hijri_year + 3) / 30 + 354 * y.hijri_year + 30 * m.hijri_month
            - (m.hijri_month - 1) / 2 + 1948056 - 2460000
        ) as starts_on
    from generate_series(1442, 1466) as y (hijri_year)
    cross join generate_series(1, 12) as m (hijri_month)
),

-- what the official calendar prints comes first (trap D15)
months as (
    select
        c.hijri_month,
        coalesce(o.starts_on, c.starts_on) as starts_on,
        o.starts_on is null as is_computed
    from computed as c
    left join {{ ref('lunar_month') }} as o
        on c.hijri_year = o.hijri_year and c.hijri_month = o.hijri_month
),

holidays as (
    select
        holiday_on,
        country_code,
        province_code,
        name_fa,
        holiday_kind,
        false as is_computed,
        is_simulated
    from {{ ref('holiday') }}
    union all
    select
        m.starts_on + h.hijri_day - 1 as holiday_on,
        'IR' as country_code,
        null as province_code,
        h.name_fa,
        'lunar' as holiday_kind,
        m.is_computed,
        false as is_simulated
    from months as m
    inner join {{ ref('lunar_holiday') }} as h on m.hijri_month = h.hijri_month
)

-- made of reference data alone: a night adds nothing
select * from holidays
{% if is_incremental() %}where false{% endif %}
