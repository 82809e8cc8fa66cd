{{ config(
    materialized='incremental',
    incremental_strategy='changed_rows',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('early_warning_track') }}"
) }}

with

{% if is_incremental() -%}
judged as (
    select * from {{ ref('int_forecast_outcome') }}
),
{%- else -%}
{{ pace_ctes() }},

{{ forecast_outcome_ctes() }},
{%- endif %}

scored as (
    select
        h.horizon_weeks,
        count(j.is_resolved) as forecasts,
        count(*) filter (where j.is_resolved) as resolved,
        count(*) filter (where j.is_resolved and j.is_inside) as inside,
        sum((j.behind_share - j.outcome) * (j.behind_share - j.outcome)) as squares,
        sum(j.outcome) as outcomes
    from (values (4), (8), (12)) as h (horizon_weeks)
    left join judged as j on h.horizon_weeks = j.horizon_weeks
    group by h.horizon_weeks
),

compared as (
    select
        s.*,
        {{ ratio('s.squares', 's.resolved') }} as brier,
        {{ ratio('s.outcomes * (s.resolved - s.outcomes)', 's.resolved * s.resolved') }}
            as brier_base_rate
    from scored as s
)

select
    horizon_weeks,
    forecasts::integer as forecasts,
    resolved::integer as resolved,
    {{ ratio('inside', 'resolved') }}::numeric(9, 6) as coverage_80,
    brier::numeric(12, 8) as brier,
    brier_base_rate::numeric(12, 8) as brier_base_rate,
    coalesce(round(brier, 20) < round(brier_base_rate, 20), false) as is_shown
from compared
