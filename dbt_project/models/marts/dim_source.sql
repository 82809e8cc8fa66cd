{{ config(
    materialized='incremental',
    incremental_strategy='changed_rows',
    on_schema_change='append_new_columns',
    pre_hook="{{ touch_when_made('dim_source') }}"
) }}
-- written after the marts that ask what has changed in the registry since they were written
{% for mart in ['agency_reporting_weekly', 'project_progress_weekly', 'provincial_indicator'] -%}
-- depends_on: {{ ref(mart) }}
{% endfor %}

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
