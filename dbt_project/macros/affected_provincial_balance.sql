{# Balances of the periods in which a province's value was written again. #}
{% macro affected_provincial_balance() -%}
with

touched as (
    {{ touched_since_last_build('provincial_indicator') }}
)

{% for relation in [ref('provincial_indicator'), this] -%}
    select
        k.indicator_code,
        k.period_kind,
        k.period_start
    from {{ relation }} as k
    where k.period_start in (select t.partition_start from touched as t)
    union
    select
        k.indicator_code,
        k.period_kind,
        k.period_start
    from {{ relation }} as k
    where exists (select from touched as t where t.partition_start is null)
    {{ 'union' if not loop.last }}
{% endfor %}
{%- endmacro %}
