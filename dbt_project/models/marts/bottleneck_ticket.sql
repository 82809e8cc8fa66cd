{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('bottleneck_ticket') }}"
) }}

with

tickets as (
    select
        t.*,
        coalesce(t.closed_on <= {{ as_of_week() }} + 6, false) as is_closed
    from {{ ref('int_ticket_known') }} as t
    {% if is_incremental() -%}
        where t.ticket_code in (
            select a.ticket_code from {{ affected('bottleneck_ticket') }} as a
        )
    {%- endif %}
)

select
    ticket_code,
    agency_code,
    project_code,
    obligation_code,
    theme_code,
    severity,
    opened_on,
    due_on,
    case when is_closed then closed_on end as closed_on,
    case when is_closed then closed_on else {{ as_of_week() }} + 6 end - opened_on as age_days,
    case
        when is_closed and closed_at > due_at then 'closed_late'
        when is_closed then 'closed'
        when due_at < {{ week_end_at(as_of_week()) }} then 'overdue'
        else 'open'
    end as state
from tickets
