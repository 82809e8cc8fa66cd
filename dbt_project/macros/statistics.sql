{#
    Statistics for a table that was written whole. A night's delta leaves them to autovacuum: they
    change little, and to take them costs what the history costs.
#}
{% macro analyze_when_made() -%}
    {%- if execute -%}
        {%- if model.config.materialized == 'table' or should_full_refresh() -%}
            analyze {{ this }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
