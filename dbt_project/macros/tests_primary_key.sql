{#
    The relation has a valid primary key over exactly these columns. The database then refuses any
    row that would break it, whatever the history: asking the catalogue is as strong as counting
    all rows and costs the same at any size.
#}
{% test primary_key(model, columns) %}
select 'no primary key over ({{ columns | join(', ') }})' as finding
where not exists (
    select
    from pg_index as i
    where
        i.indrelid = '{{ model }}'::regclass
        and i.indisprimary
        and i.indisvalid
        and (
            select array_agg(a.attname::text order by a.attname::text)
            from pg_attribute as a
            where a.attrelid = i.indrelid and a.attnum = any(i.indkey)
        ) = array[{% for column in columns | sort %}'{{ column }}'{{ ', ' if not loop.last }}{% endfor %}]
)
{% endtest %}

{# The same for intermediate tables, which carry a unique index instead of a constraint. #}
{% test unique_index(model, columns) %}
select 'no unique index over ({{ columns | join(', ') }})' as finding
where not exists (
    select
    from pg_index as i
    where
        i.indrelid = '{{ model }}'::regclass
        and i.indisunique
        and i.indisvalid
        and i.indpred is null
        and (
            select array_agg(a.attname::text order by a.attname::text)
            from pg_attribute as a
            where a.attrelid = i.indrelid and a.attnum = any(i.indkey)
        ) = array[{% for column in columns | sort %}'{{ column }}'{{ ', ' if not loop.last }}{% endfor %}]
)
{% endtest %}
