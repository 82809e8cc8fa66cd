{# Projects whose plan this build's loads speak of. #}
{% macro affected_int_project_finish() -%}
    select distinct project_code
    from {{ ref('stg_target') }}
    where {{ is_new_load('target') }} and project_code <> ''
{%- endmacro %}
