{{ config(
    materialized='table',
    indexes=[{'columns': ['ticket_code'], 'unique': true}]
) }}

with

newest as (
    select distinct on (ticket_code) *
    from {{ ref('int_ticket_latest') }}
    where not is_retracted
    order by
        ticket_code asc,
        received_at desc, period_start desc, source asc, load_id desc, record_no desc
)

select
    ticket_code,
    agency_code,
    nullif(project_code, '') as project_code,
    nullif(obligation_code, '') as obligation_code,
    nullif(theme_code, '') as theme_code,
    severity,
    due_at,
    closed_at,
    {{ tehran_day('opened_at') }} as opened_on,
    {{ tehran_day('due_at') }} as due_on,
    {{ tehran_day('closed_at') }} as closed_on
from newest
where {{ tehran_day('opened_at') }} <= {{ as_of_week() }} + 6
