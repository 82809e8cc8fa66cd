{{ config(
    materialized='incremental',
    tags=['made_once'],
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{{ touch_when_made('dim_week') }}"
) }}

with

years as (
    select *
    from {{ ref('official_leap_year') }}
    where jalali_year between 1389 and 1419
),

span as (
    select
        min(first_day_on) as first_on,
        max(first_day_on) as last_on
    from years
),

-- 2000-01-01 was a Saturday
saturdays as (
    select date '2000-01-01' + 7 * n as week_start
    from span
    cross join lateral generate_series(
        (first_on - date '2000-01-01' + 6) / 7, (last_on - date '2000-01-01') / 7
    ) as series (n)
)

select
    s.week_start,
    s.week_start + 6 as week_end,
    {{ week_label('s.week_start', 'y') }} as week_label,
    y.jalali_year,
    1 + (s.week_start - y.first_day_on) / 7 as week_no,
    (s.week_start - y.first_day_on) > (case when y.is_leap then 366 else 365 end) - 7
        as is_straddling_nowruz,
    ((s.week_start::timestamp at time zone 'Asia/Tehran')) as opens_at,
    (((s.week_start + 7)::timestamp at time zone 'Asia/Tehran')) as closes_at
from saturdays as s
inner join years as y on {{ in_jalali_year('s.week_start', 'y') }}
{% if is_incremental() %}where false{% endif %}
