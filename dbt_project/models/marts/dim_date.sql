{{ config(
    materialized='incremental',
    tags=['made_once'],
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{{ touch_when_made('dim_date') }}"
) }}

with

years as (
    select *
    from {{ ref('official_leap_year') }}
    where jalali_year between 1389 and 1419
),

days as (
    select
        y.jalali_year,
        y.is_leap,
        y.first_day_on,
        y.first_day_on + series.n as date_on
    from years as y
    cross join lateral generate_series(
        0, (case when y.is_leap then 366 else 365 end) - 1
    ) as series (n)
),

national_holidays as (
    select
        holiday_on,
        min(name_fa) as holiday_name_fa,
        bool_and(is_computed) as is_computed
    from {{ ref('int_holiday') }}
    where country_code = 'IR' and province_code is null
    group by holiday_on
),

provincial_holidays as (
    select
        holiday_on,
        string_agg(distinct province_code, ',' order by province_code) as province_codes
    from {{ ref('int_holiday') }}
    where country_code = 'IR' and province_code is not null
    group by holiday_on
)

select
    d.date_on,
    d.jalali_year,
    {{ jalali_month('d.date_on', 'd') }} as jalali_month,
    {{ jalali_day('d.date_on', 'd') }} as jalali_day,
    d.jalali_year
    || '/' || lpad({{ jalali_month('d.date_on', 'd') }}::text, 2, '0')
    || '/' || lpad({{ jalali_day('d.date_on', 'd') }}::text, 2, '0') as jalali_date,
    d.is_leap as is_jalali_leap_year,
    d.date_on - (d.date_on - date '2000-01-01') % 7 as week_start,
    (d.date_on - date '2000-01-01') % 7 as day_of_week,
    n.holiday_on is not null as is_national_holiday,
    n.holiday_name_fa,
    p.province_codes as provincial_holiday_codes,
    coalesce(n.is_computed, false) as is_holiday_computed
from days as d
left join national_holidays as n on d.date_on = n.holiday_on
left join provincial_holidays as p on d.date_on = p.holiday_on
{% if is_incremental() %}where false{% endif %}
