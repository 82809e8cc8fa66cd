{#
    Weeks of an agency from the earliest that this build's loads speak of on (a service keeps its
    state until it is told anew), and weeks with a record that are newly shown.
#}
{% macro affected_service_window_compliance() -%}
with

told as (
    select
        agency_code,
        {{ week_of('period_start') }} as from_week
    from {{ ref('stg_service_status') }}
    where {{ is_new_load('service_status') }}
    union all
    select
        agency_code,
        {{ week_of('event_on') }} as from_week
    from {{ ref('stg_obligation_event') }}
    where {{ is_new_load('obligation_event') }} and obligation_code = 'A21'
),

touched as (
    select
        agency_code,
        min(from_week) as from_week
    from told
    group by agency_code
)

-- weeks that stand, and weeks of records; a record told of no more has taken its week with it
select
    k.agency_code,
    k.week_start
from {{ this }} as k
inner join touched as t on k.agency_code = t.agency_code and k.week_start >= t.from_week
union
select
    r.agency_code,
    {{ week_of('r.period_start') }} as week_start
from {{ ref('int_service_status_latest') }} as r
inner join touched as t on r.agency_code = t.agency_code and r.period_start >= t.from_week
where {{ week_of('r.period_start') }} <= {{ as_of_week() }}
union
select
    r.agency_code,
    {{ week_of('r.period_start') }} as week_start
from {{ ref('int_service_status_latest') }} as r
where
    r.period_start > {{ week_last_shown() }} + 6
    and {{ week_of('r.period_start') }} <= {{ as_of_week() }}
{%- endmacro %}
