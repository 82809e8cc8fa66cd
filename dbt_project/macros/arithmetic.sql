{#
    Exact arithmetic. Postgres cuts a quotient of numerics at 16 significant digits unless an
    operand carries more; everything here is carried to 30 places and rounded once, when it enters
    the mart's numeric(p, s) column. No floats: their sums depend on the order of rows.
#}

{# n / d, null when d is null or zero (never 0, never 100: trap N16). #}
{% macro ratio(n, d) -%}
    (round(({{ n }})::numeric, 30) / nullif(({{ d }})::numeric, 0))
{%- endmacro %}

{# Median of an expression over a group, exact (percentile_cont is a float function). #}
{% macro median(expression, filter='true') -%}
    {%- set sorted -%}
        array_agg(({{ expression }})::numeric order by {{ expression }})
        filter (where ({{ expression }}) is not null and {{ filter }})
    {%- endset -%}
    {%- set n -%}count({{ expression }}) filter (where {{ filter }}){%- endset -%}
    ({{ ratio(
        '(' ~ sorted ~ ')[(' ~ n ~ ' + 1) / 2] + (' ~ sorted ~ ')[(' ~ n ~ ' + 2) / 2]', '2'
    ) }})
{%- endmacro %}
