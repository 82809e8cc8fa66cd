{# Branch of a lineage view: reference rows behind columns. `keys` are written before mart_column. #}
{% macro reference_line(keys, columns, field, origin) -%}
    select
        {{ keys }},
        c.mart_column,
        c.role,
        c.field as kind,
        null::bigint as load_id,
        null::integer as record_no,
        {{ field }} as field,
        null::numeric as weight
    from {{ origin }}
    cross join {{ lineage_columns(columns) }}
{%- endmacro %}

{# Branch of a lineage view: columns of the record version `r` behind columns of the mart. #}
{% macro record_line(keys, kind, columns, origin) -%}
    select
        {{ keys }},
        c.mart_column,
        c.role,
        '{{ kind }}' as kind,
        r.load_id,
        r.record_no,
        c.field,
        null::numeric as weight
    from {{ origin }}
    cross join {{ lineage_columns(columns) }}
{%- endmacro %}

{# Branch of a lineage view: what stands behind another mart's column `l.mart_column`. #}
{% macro inherited_line(keys, column, origin, role='l.role', weight='l.weight') -%}
    select
        {{ keys }},
        {{ column }} as mart_column,
        {{ role }} as role,
        l.kind,
        l.load_id,
        l.record_no,
        l.field,
        {{ weight }} as weight
    from {{ origin }}
{%- endmacro %}
