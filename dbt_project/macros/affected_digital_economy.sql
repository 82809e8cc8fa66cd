{# Periods in which a province's value was written again. #}
{% macro affected_digital_economy() -%}
with

touched as (
    {{ touched_since_last_build('provincial_indicator') }}
)

select t.partition_start as period_start
from touched as t
where t.partition_start is not null
union
select v.period_start
from {{ ref('provincial_indicator') }} as v
where exists (select from touched as t where t.partition_start is null)
union
select d.period_start
from {{ this }} as d
where exists (select from touched as t where t.partition_start is null)
{%- endmacro %}
