{{ config(
    materialized='incremental',
    incremental_strategy='changed_rows',
    on_schema_change='append_new_columns',
    pre_hook="{{ touch_when_made('obligation_status') }}"
) }}

with

debts as (
    select * from {{ ref('int_obligation_state') }}
)

select
    obligation_code,
    agency_code,
    instrument_code,
    theme,
    due_rule,
    cadence_kind,
    anchor_event,
    anchor_on,
    due_calendar_on,
    due_days30_on,
    due_original_on,
    due_revised_on,
    state,
    done_on,
    percent_pct::numeric(9, 4) as percent,
    evidence,
    days_overdue,
    days_overdue_original,
    age_days,
    waiting_on,
    events
from debts
where week_start = {{ as_of_week() }}
