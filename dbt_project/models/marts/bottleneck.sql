{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('bottleneck') }}",
    indexes=[{'columns': ['week_start'], 'type': 'btree'}]
) }}

with

{% if is_incremental() -%}
affected as (
    select * from {{ affected('bottleneck') }}
),

{% endif -%}

tickets as (
    select
        t.*,
        coalesce(t.theme_code, '') as theme
    from {{ ref('int_ticket_known') }} as t
    {% if is_incremental() -%}
        where (coalesce(t.theme_code, ''), t.agency_code) in (
            select
                a.theme_code,
                a.agency_code
            from affected as a
        )
    {%- endif %}
),

first_weeks as (
    select
        theme,
        agency_code,
        min({{ week_of('opened_on') }}) as week_start
    from tickets
    group by theme, agency_code
),

grid as (
    {% if is_incremental() -%}
        select
            f.theme,
            f.agency_code,
            a.week_start,
            a.week_start + 6 as friday_on
        from first_weeks as f
        inner join affected as a
            on
                f.theme = a.theme_code
                and f.agency_code = a.agency_code
                and f.week_start <= a.week_start
    {%- else -%}
        select
            f.theme,
            f.agency_code,
            f.week_start + 7 * ahead.weeks as week_start,
            f.week_start + 7 * ahead.weeks + 6 as friday_on
        from first_weeks as f
        cross join lateral generate_series(
            0, ({{ as_of_week() }} - f.week_start) / 7
        ) as ahead (weeks)
    {%- endif %}
),

seen as (
    select
        g.theme,
        g.agency_code,
        g.week_start,
        g.friday_on,
        t.opened_on,
        t.closed_on,
        t.severity,
        t.due_on,
        t.due_at,
        t.opened_on is not null and (t.closed_on is null or t.closed_on > g.friday_on) as is_open
    from grid as g
    -- a ticket that was closed before the week counts for nothing in it
    left join tickets as t
        on
            g.theme = t.theme
            and g.agency_code = t.agency_code
            and g.friday_on >= t.opened_on
            and (t.closed_on is null or g.week_start <= t.closed_on)
),

counted as (
    select
        theme,
        agency_code,
        week_start,
        count(*) filter (where opened_on >= week_start) as opened,
        count(*) filter (where closed_on between week_start and friday_on) as resolved,
        count(*) filter (where is_open) as open,
        count(*) filter (where is_open and due_at < {{ week_end_at('week_start') }}) as overdue,
        {{ median('friday_on - opened_on', 'is_open') }} as median_age_days,
        max(friday_on - opened_on) filter (where is_open) as oldest_age_days,
        count(*) filter (
            where is_open and (severity = 'critical' or friday_on - due_on > 28)
        ) as escalated
    from seen
    group by theme, agency_code, week_start
)

select
    theme as theme_code,
    agency_code,
    week_start,
    opened::integer as opened,
    resolved::integer as resolved,
    open::integer as open,
    overdue::integer as overdue,
    median_age_days::numeric(9, 2) as median_age_days,
    oldest_age_days,
    escalated::integer as escalated
from counted
