with recursive

asked as (
    select
        coalesce(
            nullif(current_setting('payesh.release', true), '')::integer,
            (select max(release_no) from {{ source('history', 'release') }})
        ) as release_no
),

followed as (
    select
        r.release_no,
        r.reverts_to
    from {{ source('history', 'release') }} as r
    inner join asked as a on r.release_no = a.release_no
    union all
    select
        r.release_no,
        r.reverts_to
    from followed as f
    inner join {{ source('history', 'release') }} as r on f.reverts_to = r.release_no
)

select release_no
from followed
where reverts_to is null
