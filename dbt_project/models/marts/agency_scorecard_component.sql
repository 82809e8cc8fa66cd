{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('agency_scorecard_component') }}",
    indexes=[{'columns': ['week_start'], 'type': 'btree'}]
) }}

with

{{ scorecard_ctes() }}

select
    agency_code,
    week_start,
    index_name,
    component,
    value::numeric(9, 6) as value,
    weight::numeric(9, 6) as weight,
    -- below half of the weights there is no index, and nothing contributes to it
    (case
        when 2 * weight_available >= weight_sum
            then {{ ratio('weight * value', 'weight_available') }}
    end)::numeric(9, 6) as contribution
from shared
