{#
    The first week with a national record of any project, as a query. One step of the index an
    activity, whatever the history.
#}
{% macro first_report_week() -%}
    with recursive activities as (
        select
            p.project_code,
            (
                select min(t.activity)
                from {{ ref('int_progress_latest') }} as t
                where t.project_code = p.project_code and t.province_code = ''
            ) as activity
        from {{ ref('project') }} as p
        union all
        select
            a.project_code,
            (
                select min(t.activity)
                from {{ ref('int_progress_latest') }} as t
                where
                    t.project_code = a.project_code
                    and t.province_code = ''
                    and t.activity > a.activity
            ) as activity
        from activities as a
        where a.activity is not null
    )

    select min(r.period_start) as week_start
    from activities as a
    cross join lateral (
        select t.period_start
        from {{ ref('int_progress_latest') }} as t
        where
            t.project_code = a.project_code
            and t.province_code = ''
            and t.activity = a.activity
            and not t.is_retracted
        order by t.period_start
        limit 1
    ) as r
{%- endmacro %}
