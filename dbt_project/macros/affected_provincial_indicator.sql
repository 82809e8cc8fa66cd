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

changed as (
    {{ sources_changed() }}
)

select * from came_in
union
select
    r.indicator_code,
    r.period_kind,
    r.period_start
from {{ ref('indicator') }} as i
inner join {{ ref('int_indicator_value_latest') }} as r
    on
        i.indicator_code = r.indicator_code
        and r.period_start > {{ week_last_shown() }}
        and r.period_start <= {{ as_of_week() }}
where r.period_kind = 'week' and r.province_code <> ''
union
select
    t.indicator_code,
    t.period_kind,
    t.period_start
from standing as t
inner join changed as s on t.source = s.source
{%- endmacro %}
