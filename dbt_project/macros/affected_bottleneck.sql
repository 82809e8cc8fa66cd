{#
    Weeks of a theme and agency to count again: from the opening of a ticket that this build's loads
    speak of, in any state that was ever told of it, and every week that is newly shown.
#}
{% macro affected_bottleneck() -%}
with

incoming as (
    select
        source,
        period_start,
        record_key,
        ticket_code
    from {{ ref('stg_ticket') }}
    where {{ is_new_load('ticket') }}
),

states as (
    select
        coalesce(r.theme_code, '') as theme_code,
        r.agency_code,
        {{ week_of(tehran_day('r.opened_at')) }} as from_week
    from {{ ref('stg_ticket') }} as r
    where
        (r.source, r.period_start, r.record_key)
        in (select i.source, i.period_start, i.record_key from incoming as i)
    union
    select
        coalesce(t.theme_code, '') as theme_code,
        t.agency_code,
        {{ week_of(tehran_day('t.opened_at')) }} as from_week
    from {{ ref('int_ticket_latest') }} as t
    where t.ticket_code in (select i.ticket_code from incoming as i)
),

touched as (
    select
        theme_code,
        agency_code,
        min(from_week) as from_week
    from states
    where from_week is not null
    group by theme_code, agency_code
),

going_on as (
    select
        theme_code,
        agency_code
    from {{ this }}
    where week_start = {{ week_last_shown() }}
    union
    select
        coalesce(theme_code, '') as theme_code,
        agency_code
    from {{ ref('int_ticket_known') }}
    where opened_on > {{ week_last_shown() }} + 6
)

select
    t.theme_code,
    t.agency_code,
    w.week_start
from touched as t
inner join {{ ref('dim_week') }} as w on t.from_week <= w.week_start
where w.week_start <= {{ as_of_week() }}
union
select
    g.theme_code,
    g.agency_code,
    w.week_start
from going_on as g
cross join {{ ref('dim_week') }} as w
where w.week_start > {{ week_last_shown() }} and w.week_start <= {{ as_of_week() }}
{%- endmacro %}
