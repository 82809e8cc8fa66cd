set local role payesh_owner;

-- Live views: true at this moment, not part of a release.

create view marts.release_history as
select
    release.published_at as happened_at,
    case release.kind when 'revert' then 'reverted' else 'published' end as outcome,
    release.release_no,
    release.as_of_week,
    release.reverts_to,
    release.gate_verdict,
    release.changed_rows,
    (
        select count(*) from history.release_load as l
        where l.release_no = release.release_no
    ) as loads,
    (release.coverage ->> 'reports_received')::bigint as reports_received,
    (release.coverage ->> 'reports_expected')::bigint as reports_expected,
    null::text as reason_code,
    release.note as reason,
    release.build_id,
    release.content_sha256,
    release.inputs_sha256,
    release.code_sha256,
    release.reference_sha256
from history.release
union all
select
    refusal.refused_at as happened_at,
    'refused' as outcome,
    refusal.standing_release as release_no,
    refusal.as_of_week,
    null as reverts_to,
    case when refusal.reason_code = 'gate-failed' then 'fail' end as gate_verdict,
    0 as changed_rows,
    0 as loads,
    null as reports_received,
    null as reports_expected,
    refusal.reason_code,
    refusal.reason,
    refusal.build_id,
    null as content_sha256,
    null as inputs_sha256,
    null as code_sha256,
    null as reference_sha256
from history.refusal;
comment on view marts.release_history is
'Live. A row a publication, a revert or a refusal; for this, release_no is what stood.';

create view marts.source_freshness as
with in_force as (
    select distinct on (s.source) s.*
    from raw.source as s
    order by s.source asc, s.valid_from desc
),

attempt as (
    select distinct on (f.source) f.*
    from raw."fetch" as f
    order by f.source asc, f.attempted_at desc, f.fetch_id desc
),

answer as (
    select
        f.source,
        max(f.finished_at) as answered_at
    from raw."fetch" as f
    where f.outcome <> 'failed'
    group by f.source
),

received as (
    select
        s.source,
        max(s.received_at) as received_at
    from raw.snapshot as s
    group by s.source
),

last_load as (
    select distinct on (l.source) l.*
    from raw.load as l
    order by l.source asc, l.load_id desc
),

period as (
    select
        l.source,
        max(l.period_max) as period_max
    from raw.load as l
    where l.status <> 'rejected'
    group by l.source
)

select
    in_force.source,
    in_force.title,
    in_force.title_fa,
    in_force.kind,
    in_force.agency_code,
    in_force.province_code,
    in_force.owner_name,
    in_force.tier,
    in_force.is_simulated,
    in_force.cadence,
    retired.retired_on,
    attempt.attempted_at as last_attempt_at,
    attempt.outcome as last_outcome,
    attempt.error_code as last_error_code,
    attempt.error as last_error,
    attempt.remedy as last_remedy,
    answer.answered_at as last_answer_at,
    received.received_at as last_new_file_at,
    last_load.load_id as last_load_id,
    last_load.status as last_load_status,
    last_load.reject_code as last_reject_code,
    last_load.loaded_at as last_loaded_at,
    last_load.rows_read as last_rows_read,
    last_load.rows_accepted as last_rows_accepted,
    last_load.rows_quarantined as last_rows_quarantined,
    period.period_max as last_period_start,
    case when in_force.cadence = 'weekly' then greatest((
        select r.as_of_week from history.release as r
        order by r.release_no desc
        limit 1
    ) - period.period_max, 0) / 7 end as weeks_behind_release
from in_force
left join raw.retired_source as retired on in_force.source = retired.source
left join attempt on in_force.source = attempt.source
left join answer on in_force.source = answer.source
left join received on in_force.source = received.source
left join last_load on in_force.source = last_load.source
left join period on in_force.source = period.source;
comment on view marts.source_freshness is
'Live. One row a source of the registry: what arrived when, and what went wrong last.';

create view marts.data_quality_finding as
with in_force as (
    select distinct on (s.source) s.*
    from raw.source as s
    order by s.source asc, s.valid_from desc
),

cell as (
    select
        q.*,
        -- the next load of the source that covers the period tells what became of it
        (
            select min(l.load_id)
            from raw.load as l
            where
                l.source = q.source and l.load_id > q.load_id and l.status <> 'rejected'
                and (
                    q.period_start is null
                    or q.period_start between l.period_min and l.period_max
                )
        ) as next_load_id
    from raw.quarantine as q
),

judged as (
    select
        g.stage,
        r.suite,
        r.expectation,
        r.relation,
        r.column_name,
        r.source,
        r.severity,
        min(g.started_at) as first_seen_at,
        max(g.gate_id) as last_gate_id,
        (array_agg(r.message order by g.gate_id desc))[1] as message,
        (array_agg(r.rule_version order by g.gate_id desc))[1] as rule_version,
        (array_agg(r.gate_id || '-' || r.result_no order by g.gate_id desc))[1] as last_id
    from quality.result as r
    inner join quality.gate as g on r.gate_id = g.gate_id
    where not r.is_success
    group by g.stage, r.suite, r.expectation, r.relation, r.column_name, r.source, r.severity
),

newest_gate as (
    select
        g.stage,
        max(g.gate_id) as gate_id
    from quality.gate as g
    group by g.stage
)

select
    'q-' || cell.load_id || '-' || cell.item_no as finding_id,
    case
        when cell.next_load_id is null then 'open'
        when exists (
            select from raw.quarantine as again
            where
                again.load_id = cell.next_load_id and again.reason_code = cell.reason_code
                and again.field is not distinct from cell.field
                and again.period_start is not distinct from cell.period_start
                and again.agency_code is not distinct from cell.agency_code
                and again.province_code is not distinct from cell.province_code
                and again.raw_text is not distinct from cell.raw_text
        ) then 'repeated'
        else 'resolved'
    end as state,
    'quarantine' as severity,
    cell.scope,
    cell.source,
    in_force.owner_name,
    cell.rule,
    load.rules_version as rule_version,
    cell.reason_code,
    cell.kind,
    cell.agency_code,
    cell.province_code,
    cell.period_kind,
    cell.period_start,
    cell.field,
    (snapshot.parts -> ops.part_no(cell.locator)) ->> 'name' as file_name,
    cell.locator,
    cell.header,
    -- runs of ten digits and more are national ids, telephone and account numbers: raw keeps them
    regexp_replace(left(cell.raw_text, 200), '[0-9۰-۹٠-٩]{10,}', '…', 'g') as raw_text,
    regexp_replace(cell.message, '[0-9۰-۹٠-٩]{10,}', '…', 'g') as message,
    cell.remedy,
    cell.received_at as first_seen_at,
    extract(day from now() - cell.received_at)::integer as age_days
from cell
inner join raw.load as load on cell.load_id = load.load_id
inner join raw.snapshot as snapshot on load.snapshot_id = snapshot.snapshot_id
left join in_force on cell.source = in_force.source
union all
select
    'g-' || judged.last_id as finding_id,
    case when judged.last_gate_id = newest_gate.gate_id then 'open' else 'resolved' end as state,
    judged.severity,
    'relation' as scope,
    judged.source,
    in_force.owner_name,
    judged.suite || '.' || judged.expectation as rule,
    judged.rule_version,
    judged.stage || '-gate' as reason_code,
    null as kind,
    null as agency_code,
    null as province_code,
    null as period_kind,
    null as period_start,
    judged.column_name as field,
    null as file_name,
    judged.relation as locator,
    null as header,
    null as raw_text,
    judged.message,
    null as remedy,
    judged.first_seen_at,
    extract(day from now() - judged.first_seen_at)::integer as age_days
from judged
inner join newest_gate on judged.stage = newest_gate.stage
left join in_force on judged.source = in_force.source;
comment on view marts.data_quality_finding is
'Live. A row a refused file, row or cell and a broken expectation: where, why, what to do, whose.';

grant select on marts.release_history, marts.source_freshness, marts.data_quality_finding
to payesh_bi, payesh_transform;
