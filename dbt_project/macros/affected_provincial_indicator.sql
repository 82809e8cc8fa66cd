{# Indicator periods to compute again: values or targets that came in, weeks that are newly shown. #}
{% macro affected_provincial_indicator() -%}
with

standing as (
    select * from {{ this }}
),

came_in as (
    select
        indicator_code,
        period_kind,
        period_start
    from {{ ref('stg_indicator_value') }}
    where {{ is_new_load('indicator_value') }} and province_code <> ''
    union
    select
        indicator_code,
        period_kind,
        period_start
    from {{ ref('stg_target') }}
    where {{ is_new_load('target') }} and indicator_code <> ''
),

last_weeks as (
    select
        i.indicator_code,
        (
            select max(t.period_start)
            from standing as t
            where t.indicator_code = i.indicator_code and t.period_kind = 'week'
        ) as week_start
    from {{ ref('indicator') }} as i
)

select * from came_in
union
select
    r.indicator_code,
    r.period_kind,
    r.period_start
from last_weeks as l
inner join {{ ref('int_indicator_value_latest') }} as r
    on
        l.indicator_code = r.indicator_code
        and r.period_start > coalesce(l.week_start, date '1900-01-01')
        and r.period_start <= {{ as_of_week() }}
where r.period_kind = 'week' and r.province_code <> ''
union
select
    t.indicator_code,
    t.period_kind,
    t.period_start
from standing as t
inner join {{ ref('stg_source') }} as s on t.source = s.source
where
    t.is_simulated <> s.is_simulated
    or (t.period_kind = 'week' and t.period_start > {{ as_of_week() }})
{%- endmacro %}
