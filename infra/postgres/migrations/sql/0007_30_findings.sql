set local role payesh_owner;

-- What became of a finding: open; aged, open for more than four weeks; decided, by whom and why;
-- repeated, a later file has the same fault; corrected, a later file is without it.
create view ops.quarantine_state as
with cell as (
    select
        q.*,
        -- the next load that was kept and speaks of the same tells what became of it: one that
        -- covers its period; where that could not be read, a file of the same name
        (
            select min(l.load_id)
            from raw.load as l
            inner join raw.snapshot as newer on l.snapshot_id = newer.snapshot_id
            where
                l.source = q.source and l.load_id > q.load_id and l.status <> 'rejected'
                and case
                    when q.period_start is null
                        then newer.parts -> 0 ->> 'name' = snapshot.parts -> 0 ->> 'name'
                    else q.period_start between l.period_min and l.period_max
                end
        ) as next_load_id,
        decided.decision,
        decided.decided_value,
        decided.decided_by,
        decided.decided_at,
        decided.decision_reason
    from raw.quarantine as q
    inner join raw.load as mine on q.load_id = mine.load_id
    inner join raw.snapshot as snapshot on mine.snapshot_id = snapshot.snapshot_id
    left join lateral (
        -- of the same cell of the same file, under whichever load it was found
        select
            d.verdict as decision,
            d.value as decided_value,
            d.decided_by,
            d.decided_at,
            d.reason as decision_reason
        from ops.decision as d
        where
            d.snapshot_id = mine.snapshot_id and d.source = q.source and d.item_no is not null
            and d.reason_code = q.reason_code
            and d.field is not distinct from q.field
            and d.locator is not distinct from q.locator
        order by d.decision_id desc
        limit 1
    ) as decided on true
)

select
    cell.load_id,
    cell.item_no,
    case
        when cell.decision is not null then 'decided'
        when cell.next_load_id is null and now() - cell.received_at > interval '28 days' then 'aged'
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
        else 'corrected'
    end as state,
    -- nothing is to be done where somebody has said so, or a later file speaks of the same
    cell.next_load_id is null and coalesce(cell.decision, '') <> 'dismiss' as is_standing,
    cell.decision,
    cell.decided_value,
    cell.decided_by,
    cell.decided_at,
    cell.decision_reason
from cell;
comment on view ops.quarantine_state is
'What became of each finding of raw.quarantine, and who has decided what about it.';
grant select on ops.quarantine_state to payesh_ingest, payesh_transform;

create or replace view ops.data_quality_finding as
with in_force as (
    select distinct on (s.source) s.*
    from raw.source as s
    order by s.source asc, s.valid_from desc
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
    became.state,
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
    ops.masked(left(cell.raw_text, 200)) as raw_text,
    ops.masked(left(cell.message, 1000)) as message,
    cell.remedy,
    cell.received_at as first_seen_at,
    extract(day from now() - cell.received_at)::integer as age_days,
    became.decision,
    became.decided_by,
    became.decided_at,
    ops.masked(became.decision_reason) as decision_reason
from raw.quarantine as cell
inner join ops.quarantine_state as became
    on cell.load_id = became.load_id and cell.item_no = became.item_no
inner join raw.load as load on cell.load_id = load.load_id
inner join raw.snapshot as snapshot on load.snapshot_id = snapshot.snapshot_id
left join in_force on cell.source = in_force.source
union all
select
    'g-' || judged.last_id as finding_id,
    case
        when judged.last_gate_id <> newest_gate.gate_id then 'corrected'
        when now() - judged.first_seen_at > interval '28 days' then 'aged'
        else 'open'
    end as state,
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
    ops.masked(judged.message) as message,
    null as remedy,
    judged.first_seen_at,
    extract(day from now() - judged.first_seen_at)::integer as age_days,
    null as decision,
    null as decided_by,
    null::timestamptz as decided_at,
    null as decision_reason
from judged
inner join newest_gate on judged.stage = newest_gate.stage
left join in_force on judged.source = in_force.source;

create or replace view marts.data_quality_finding with (security_barrier) as
select f.*
from ops.data_quality_finding as f
where (select ops.sees_all()) or f.source = any((select ops.seen_sources())::text[]);
comment on view marts.data_quality_finding is
'Live. A row a refused file, row or cell and a broken expectation: where, why, what to do, whose, '
'and what became of it: open, aged, repeated, decided or corrected.';
