set local role payesh_owner;

-- What people have decided about what could not be read. Append-only: the newest decision on a
-- finding or load counts, the older ones tell who thought otherwise.
create table ops.decision (
    decision_id bigint generated always as identity primary key,
    verdict text not null check (
        verdict in ('accept-as', 'not-reported', 'dismiss', 'accept-load')
    ),
    source text not null,
    snapshot_id bigint not null references raw.snapshot,
    load_id bigint not null references raw.load,
    -- of raw.quarantine; null when it is about the load as a whole
    item_no integer,
    -- the finding as it stood: by these a replay finds the cell again
    reason_code text not null,
    field text,
    locator text,
    raw_text text,
    -- accept-as: the text to be read in the cell's place
    value text,
    reason text not null check (btrim(reason) <> ''),
    decided_by text not null check (btrim(decided_by) <> ''),
    decided_at timestamptz not null default clock_timestamp(),
    constraint a_value_is_for_accept_as check ((value is not null) = (verdict = 'accept-as')),
    constraint a_load_or_a_finding check ((item_no is null) = (verdict = 'accept-load'))
);
create index decision_snapshot on ops.decision (snapshot_id);
comment on table ops.decision is
'Who decided what about a refused cell, row or file, when and why; applied by a replay.';

grant select, insert on ops.decision to payesh_ingest;
grant select on ops.decision to payesh_transform;
