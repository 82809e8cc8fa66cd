{# Debts whose events this build's loads speak of. #}
{% macro affected_int_obligation_event_state() -%}
    select distinct
        obligation_code,
        agency_code
    from {{ ref('stg_obligation_event') }}
    where {{ is_new_load('obligation_event') }}
{%- endmacro %}
