{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('service_window_compliance') }}"
) }}

with {% if is_incremental() %}recursive{% endif %}

{% if is_incremental() -%}
affected as (
    select * from {{ affected('service_window_compliance') }}
),

-- what is held against an agency's first week needs that week
weeks as (
    select
        agency_code,
        week_start
    from affected
    union
    select
        g.agency_code,
        f.week_start
    from (select distinct a.agency_code from affected as a) as g
    cross join lateral (
        select min(t.week_start) as week_start
        from {{ this }} as t
        where t.agency_code = g.agency_code
    ) as f
    where f.week_start is not null
),

-- an agency's services, one step of the index each
services as (
    select
        g.agency_code,
        (
            select min(r.service_code)
            from {{ ref('int_service_status_latest') }} as r
            where r.agency_code = g.agency_code
        ) as service_code
    from (select distinct w.agency_code from weeks as w) as g
    union all
    select
        v.agency_code,
        (
            select min(r.service_code)
            from {{ ref('int_service_status_latest') }} as r
            where r.agency_code = v.agency_code and r.service_code > v.service_code
        ) as service_code
    from services as v
    where v.service_code is not null
),

-- a service keeps its state until it is told anew
held as (
    select
        w.week_start,
        r.*
    from weeks as w
    inner join services as v on w.agency_code = v.agency_code
    cross join lateral (
        select *
        from {{ ref('int_service_status_latest') }} as t
        where
            t.agency_code = v.agency_code
            and t.service_code = v.service_code
            and t.period_start <= w.week_start + 6
            and not t.is_retracted
        order by
            t.period_start desc, t.received_at desc, t.source asc, t.load_id desc, t.record_no desc
        limit 1
    ) as r
),
{%- else -%}
records as (
    select distinct on (agency_code, service_code, period_start) *
    from {{ ref('int_service_status_latest') }}
    where not is_retracted and {{ week_of('period_start') }} <= {{ as_of_week() }}
    order by
        agency_code asc, service_code asc, period_start asc,
        received_at desc, source asc, load_id desc, record_no desc
),

-- a service keeps its state until it is told anew
states as (
    select
        r.*,
        lead(r.period_start) over (
            partition by r.agency_code, r.service_code order by r.period_start
        ) as next_on
    from records as r
),

weeks as (
    select distinct
        agency_code,
        {{ week_of('period_start') }} as week_start
    from records
),

held as (
    select
        w.week_start,
        s.*
    from weeks as w
    inner join states as s
        on
            w.agency_code = s.agency_code
            and w.week_start + 6 >= s.period_start
            and (s.next_on is null or w.week_start + 6 < s.next_on)
),
{%- endif %}

judged as (
    select
        h.*,
        coalesce(h.is_dedicated, false) as is_own,
        coalesce(h.is_high_use, false) as is_busy,
        coalesce(h.is_on_agency_window, false) as is_on_window
    from held as h
),

counted as (
    select
        s.agency_code,
        s.week_start,
        count(*) as services,
        count(*) filter (where s.is_own) as dedicated,
        count(*) filter (where s.is_own and s.is_on_window) as dedicated_on_window,
        count(*) filter (where s.is_busy) as high_use,
        count(*) filter (where s.is_busy and s.is_on_window) as high_use_on_window,
        count(*) filter (where s.is_own and s.is_busy and not s.is_on_window) as high_use_left,
        count(*) filter (where s.is_own and not s.is_busy and s.is_on_window) as other_on_window,
        count(*) filter (where s.is_on_national_window) as on_national_window,
        count(*) filter (where s.has_identity_card) as identity_cards,
        count(*) filter (where s.is_reengineered) as reengineered,
        count(*) filter (where s.has_sso) as sso,
        count(*) filter (where s.is_once_only) as once_only,
        sum(s.transactions_online) filter (where s.transactions_total is not null) as online,
        sum(s.transactions_total) filter (where s.transactions_online is not null) as total
    from judged as s
    group by s.agency_code, s.week_start
    -- only weeks in which the agency told of a service
    having bool_or(s.period_start >= s.week_start)
),

stages as (
    select
        c.agency_code,
        c.week_start,
        reached.stage_no
    from counted as c
    cross join lateral (
        select array_position(array['built', 'operating', 'connected'], e.status) as stage_no
        from {{ ref('int_obligation_event_latest') }} as e
        where
            e.agency_code = c.agency_code
            and e.obligation_code = 'A21'
            and e.event_on <= c.week_start + 6
            and e.status in ('built', 'operating', 'connected')
            and not e.is_retracted
        order by
            e.event_on desc, e.received_at desc, e.source asc, e.load_id desc, e.record_no desc
        limit 1
    ) as reached
),

shown as (
    select
        c.agency_code,
        c.week_start,
        c.services::integer as services,
        c.dedicated::integer as dedicated,
        c.dedicated_on_window::integer as dedicated_on_window,
        -- in integers, never by a rounded share (trap K19)
        case when c.dedicated > 0 then 3 * c.dedicated_on_window >= c.dedicated end
            as passes_third_all,
        c.high_use::integer as high_use,
        c.high_use_on_window::integer as high_use_on_window,
        case when c.high_use > 0 then 3 * c.high_use_on_window >= c.high_use end
            as passes_third_high_use,
        (case when c.high_use_left > 0 then c.other_on_window else 0 end)::integer
            as high_use_first_violations,
        c.on_national_window::integer as on_national_window,
        c.identity_cards::integer as identity_cards,
        c.reengineered::integer as reengineered,
        c.sso::integer as sso,
        c.once_only::integer as once_only,
        {{ ratio('c.online', 'c.total') }}::numeric(38, 6) as online_share,
        s.stage_no >= 1 as dashboard_built,
        s.stage_no >= 2 as dashboard_operating,
        s.stage_no >= 3 as dashboard_connected,
        (first_value(c.services) over (partition by c.agency_code order by c.week_start))::integer
            as catalogue_first
    from counted as c
    left join stages as s on c.agency_code = s.agency_code and c.week_start = s.week_start
)

select s.*
from shown as s
{% if is_incremental() -%}
    inner join affected as a on s.agency_code = a.agency_code and s.week_start = a.week_start
{%- endif %}
