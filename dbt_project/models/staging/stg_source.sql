with

-- as it was when the last build began: one build sees one registry, however long it takes
versions as (
    select *
    from {{ source('raw', 'source') }}
    where valid_from <= (select max(b.started_at) from {{ source('ops', 'build') }} as b)
),

in_force as (
    select distinct on (source) *
    from versions
    order by source asc, valid_from desc, spec_sha256 asc
),

retired as (
    select * from {{ source('raw', 'retired_source') }}
)

select
    f.source,
    f.kind,
    f.title,
    f.title_fa,
    f.agency_code,
    f.province_code,
    f.owner_name,
    f.owner_email,
    f.tier,
    f.is_simulated,
    f.cadence,
    f.due_hours,
    f.grace_hours,
    f.owed_from,
    -- a retired source owes nothing for weeks that open after its last day
    least(f.owed_to, r.retired_on) as owed_to,
    r.retired_on,
    f.spec_sha256,
    f.valid_from
from in_force as f
left join retired as r on f.source = r.source
