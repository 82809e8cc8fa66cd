{#
    CTEs that every forecast stands on: the pairwise slopes of the last six reported weeks up to
    each reported week (as the trend of project_progress_weekly takes them), and their percentiles.

    A slope is kept as rise and weeks, so that what is computed with it is divided once. What is
    compared is rounded to 20 places first: figures of four decimals over spans of weeks differ by
    more than that, or not at all.
#}
{% macro pace_ctes() -%}
reported as (
    select
        project_code,
        week_start,
        actual_pct,
        row_number() over series as report_no,
        array_agg(actual_pct) over last_six as actuals,
        array_agg(week_start) over last_six as weeks
    from {{ ref('project_progress_weekly') }}
    where actual_pct is not null
    window
        series as (partition by project_code order by week_start),
        last_six as (series rows between 5 preceding and current row)
),

slopes as (
    select
        r.project_code,
        r.week_start,
        r.actual_pct,
        r.actuals[later.no] - r.actuals[earlier.no] as rise_pct,
        (r.weeks[later.no] - r.weeks[earlier.no]) / 7 as weeks
    from reported as r
    {% if is_incremental() -%}
        inner join {{ affected(this.identifier) }} as a
            on r.project_code = a.project_code and r.week_start = a.week_start
    {% endif -%}
    cross join generate_series(1, 5) as earlier (no)
    cross join generate_series(2, 6) as later (no)
    where
        r.report_no >= 3
        and r.actual_pct < 100
        and earlier.no < later.no
        and later.no <= cardinality(r.weeks)
),

sorted as (
    select
        project_code,
        week_start,
        actual_pct,
        array_agg({{ ratio('rise_pct', 'weeks') }} order by {{ ratio('rise_pct', 'weeks') }})
            as paces
    from slopes
    group by project_code, week_start, actual_pct
),

paces as (
    select
        project_code,
        week_start,
        actual_pct,
        {{ percentile('paces', 1, 2) }} as median_pace,
        {{ percentile('paces', 1, 10) }} as low_pace,
        {{ percentile('paces', 9, 10) }} as high_pace
    from sorted
)
{%- endmacro %}

{# Percentile n/d of a sorted array, linear between the two nearest ranks; exact, not float. #}
{% macro percentile(sorted, n, d) -%}
    {%- set rank -%}({{ n }} * (cardinality({{ sorted }}) - 1)){%- endset -%}
    ({{ sorted }}[{{ rank }} / {{ d }} + 1]
    + ({{ sorted }}[least({{ rank }} / {{ d }} + 2, cardinality({{ sorted }}))]
        - {{ sorted }}[{{ rank }} / {{ d }} + 1])
    * {{ ratio(rank ~ ' % ' ~ d, d) }})
{%- endmacro %}

{# Weeks until 100 % at a pace of rise / weeks, whole; null when it never comes. #}
{% macro weeks_to_finish(actual, rise, weeks='1') -%}
    (case
        when {{ rise }} > 0
            then ceil(round({{ ratio('(100 - ' ~ actual ~ ') * ' ~ weeks, rise) }}, 20))
    end)
{%- endmacro %}

{# The Friday on which a project is done that way; null when it is more than 20 years ahead. #}
{% macro finish_on(week_start, actual, pace) -%}
    (case
        when {{ weeks_to_finish(actual, pace) }} <= 1040
            then {{ week_start }} + 6 + 7 * {{ weeks_to_finish(actual, pace) }}::integer
    end)
{%- endmacro %}

{# Held to 0-100, at the precision of comparisons. #}
{% macro clipped_pct(value) -%}
    round(least(greatest({{ value }}, 0), 100), 20)
{%- endmacro %}
