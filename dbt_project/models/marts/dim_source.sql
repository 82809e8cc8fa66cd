{{ config(
    materialized='table',
    pre_hook="{{ touch_all('dim_source') }}"
) }}

with

sources as (
    select * from {{ ref('stg_source') }}
)

select
    source,
    kind,
    title,
    title_fa,
    agency_code,
    province_code,
    owner_name,
    owner_email,
    tier,
    is_simulated,
    cadence,
    due_hours,
    grace_hours,
    owed_from,
    owed_to,
    retired_on,
    spec_sha256
from sources
