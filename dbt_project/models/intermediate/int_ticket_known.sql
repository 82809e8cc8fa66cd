{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    unique_key=['ticket_code'],
    on_schema_change='fail',
    pre_hook="{{ affect('int_ticket_known') }}",
    indexes=[
        {'columns': ['ticket_code'], 'unique': true},
        {'columns': ['agency_code', 'theme_code'], 'type': 'btree'},
        {'columns': ['opened_on'], 'type': 'btree'}
    ]
) }}

with

newest as (
    select distinct on (ticket_code) *
    from {{ ref('int_ticket_latest') }}
    where
        not is_retracted
        {% if is_incremental() -%}
            and ticket_code in (select ticket_code from {{ affected('int_ticket_known') }})
        {%- endif %}
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
