{# Balances of the periods in which a province's value was written again. #}
{% macro affected_provincial_balance() -%}
with

touched as (
    {{ touched_since_last_build('provincial_indicator') }}
),

keys as (
    select
        indicator_code,
        period_kind,
        period_start
    from {{ ref('provincial_indicator') }}
    union
    select
        indicator_code,
        period_kind,
        period_start
    from {{ this }}
)

select k.*
from keys as k
where exists (
    select
    from touched as t
    where t.partition_start is null or t.partition_start = k.period_start
)
{%- endmacro %}
