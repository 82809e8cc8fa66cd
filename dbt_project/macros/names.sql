{# Schemas carry exactly the name that the model asks for; the target's name is no prefix. #}
{% macro generate_schema_name(custom_schema_name=none, node=none) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
