set local role payesh_owner;

-- ---------------------------------------------------------------- the registry as the night saw it
create table raw.source (
    source text not null,
    spec_sha256 text not null,
    valid_from timestamptz not null default now(),
    kind text not null,
    title text not null,
    title_fa text,
    agency_code text not null,
    province_code text,
    owner_name text not null,
    owner_email text not null,
    tier smallint not null,
    is_simulated boolean not null,
    cadence text not null check (cadence in ('weekly', 'monthly', 'yearly', 'once')),
    -- weekly: due this many hours after the week has closed (Saturday 00:00, Asia/Tehran)
    due_hours numeric(8, 2),
    grace_hours numeric(8, 2) not null default 0,
    owed_from date,
    owed_to date,
    spec jsonb not null,
    primary key (source, spec_sha256)
);
comment on table raw.source is
'Every version of every source file that a night has run with; the newest valid_from is in force.';

create table raw.retired_source (
    source text primary key,
    retired_on date not null,
    reason text not null
);

-- ---------------------------------------------------------------- attempts, snapshots, ledger
create table raw.snapshot (
    snapshot_id bigint generated always as identity primary key,
    source text not null,
    -- of the bytes; for several parts (pages) of the parts' hashes in order
    sha256 text not null,
    byte_count bigint not null,
    -- [{"sha256","bytes","name","origin","status","media_type","headers"}]; origins carry no secret
    parts jsonb not null,
    received_at timestamptz not null,
    unique (source, sha256)
);

create table raw."fetch" (
    fetch_id bigint generated always as identity primary key,
    source text not null,
    attempted_at timestamptz not null,
    finished_at timestamptz not null,
    outcome text not null check (outcome in ('new', 'unchanged', 'nothing', 'failed')),
    snapshot_id bigint references raw.snapshot,
    error_code text,
    error text,
    remedy text,
    run_id text
);
create index fetch_source on raw."fetch" (source, attempted_at desc);

create table raw.load (
    load_id bigint generated always as identity primary key,
    source text not null,
    snapshot_id bigint not null references raw.snapshot,
    kind text not null,
    spec_sha256 text not null,
    rules_version text not null,
    status text not null check (status in ('loaded', 'unchanged', 'rejected')),
    reject_code text,
    reject_detail text,
    -- hash of the typed content, equal for the same cells in other bytes
    content_sha256 text,
    rows_read bigint not null,
    rows_accepted bigint not null,
    rows_quarantined bigint not null,
    rows_unchanged bigint not null,
    rows_non_data bigint not null,
    non_data jsonb not null default '{}',
    cells_quarantined bigint not null default 0,
    control_totals jsonb not null default '[]',
    -- first and last period among accepted and unchanged rows
    period_min date,
    period_max date,
    received_at timestamptz not null,
    loaded_at timestamptz not null default clock_timestamp(),
    run_id text,
    constraint balance check (
        rows_read = rows_accepted + rows_quarantined + rows_unchanged + rows_non_data
    ),
    constraint a_rejection_says_why check ((status = 'rejected') = (reject_code is not null))
);
comment on constraint balance on raw.load is
'rows read = accepted + quarantined + unchanged + recognised as non-data: nothing lost.';
create index load_source on raw.load (source, load_id);
create index load_snapshot on raw.load (snapshot_id);

create table raw.quarantine (
    load_id bigint not null references raw.load,
    item_no integer not null,
    source text not null,
    kind text not null,
    scope text not null check (scope in ('file', 'row', 'cell')),
    reason_code text not null,
    field text,
    -- `sheet!D7` or `part#/json/pointer`
    locator text not null,
    header text,
    raw_text text,
    message text not null,
    remedy text not null,
    rule text not null,
    -- the accepted record that the cell belongs to; null when the row or the file was refused
    record_no integer,
    -- as far as could be read
    agency_code text,
    province_code text,
    period_kind text,
    period_start date,
    received_at timestamptz not null,
    primary key (load_id, item_no)
);

-- ---------------------------------------------------------------- records, one table a kind
-- Append-only and bitemporal: (period_start, received_at). Optional key parts are '' when absent,
-- so that keys join with plain equality. record_key = the kind's key parts joined by '|'.
-- lineage: {"<field>": ["<locator>", "<raw text>", "<header>"]}; locator = that of the row.
create table raw.record (
    load_id bigint not null,
    record_no integer not null,
    source text not null,
    record_key text not null,
    period_kind text not null check (
        period_kind in ('week', 'jalali_month', 'jalali_year', 'gregorian_year', 'date')
    ),
    period_start date not null,
    -- what the agency says, if it says
    reported_at timestamptz,
    received_at timestamptz not null,
    is_retracted boolean not null default false,
    is_hidden boolean not null default false,
    cells_required smallint not null,
    cells_filled smallint not null,
    locator text not null,
    lineage jsonb not null
);
comment on table raw.record is 'The columns that every kind has; a template that holds no rows.';

create table raw.progress (
    like raw.record including all,
    project_code text not null,
    agency_code text not null,
    province_code text not null default '',
    activity text not null default '',
    planned_pct numeric(9, 4),
    actual_pct numeric(9, 4),
    planned_cost_rial numeric(24, 2),
    actual_cost_rial numeric(24, 2),
    forecast_finish_on date,
    has_output boolean,
    note text,
    primary key (load_id, record_no),
    foreign key (load_id) references raw.load
);

create table raw.indicator_value (
    like raw.record including all,
    indicator_code text not null,
    province_code text not null default '',
    agency_code text not null default '',
    value numeric(28, 10),
    numerator numeric(28, 10),
    denominator numeric(28, 10),
    unit text,
    primary key (load_id, record_no),
    foreign key (load_id) references raw.load
);

create table raw.target (
    like raw.record including all,
    -- exactly one of the two is given
    indicator_code text not null default '',
    project_code text not null default '',
    province_code text not null default '',
    revision integer not null default 0,
    baseline numeric(28, 10),
    target numeric(28, 10),
    effective_from date,
    revised_by text,
    reason text,
    primary key (load_id, record_no),
    foreign key (load_id) references raw.load,
    constraint one_subject check ((indicator_code = '') <> (project_code = ''))
);

create table raw.obligation_event (
    like raw.record including all,
    obligation_code text not null,
    agency_code text not null,
    event_on date not null,
    status text,
    percent_pct numeric(9, 4),
    evidence text,
    anchor_event text,
    anchor_on date,
    extended_to date,
    primary key (load_id, record_no),
    foreign key (load_id) references raw.load
);

create table raw.service_status (
    like raw.record including all,
    service_code text not null,
    agency_code text not null,
    service_title text,
    is_dedicated boolean,
    is_high_use boolean,
    is_on_agency_window boolean,
    is_on_national_window boolean,
    has_identity_card boolean,
    is_reengineered boolean,
    has_sso boolean,
    is_once_only boolean,
    transactions_online numeric(24, 0),
    transactions_total numeric(24, 0),
    primary key (load_id, record_no),
    foreign key (load_id) references raw.load
);

create table raw.ticket (
    like raw.record including all,
    ticket_code text not null,
    project_code text not null default '',
    obligation_code text not null default '',
    agency_code text not null,
    theme_code text,
    severity text,
    opened_at timestamptz,
    due_at timestamptz,
    closed_at timestamptz,
    title text,
    primary key (load_id, record_no),
    foreign key (load_id) references raw.load
);

create table raw.funding (
    like raw.record including all,
    agency_code text not null default '',
    province_code text not null default '',
    project_code text not null default '',
    allocated_rial numeric(24, 2),
    released_rial numeric(24, 2),
    spent_rial numeric(24, 2),
    primary key (load_id, record_no),
    foreign key (load_id) references raw.load
);

create table raw.meeting (
    like raw.record including all,
    committee_code text not null,
    held_on date not null,
    due_period_start date,
    minuted_on date,
    decisions jsonb,
    primary key (load_id, record_no),
    foreign key (load_id) references raw.load
);

create table raw.rating (
    like raw.record including all,
    project_code text not null default '',
    agency_code text not null default '',
    author text not null,
    rated_on date not null,
    scale text,
    value numeric(9, 4),
    reason text,
    primary key (load_id, record_no),
    foreign key (load_id) references raw.load
);

do $$
declare
    kind text;
begin
    foreach kind in array array[
        'progress', 'indicator_value', 'target', 'obligation_event', 'service_status',
        'ticket', 'funding', 'meeting', 'rating'
    ]
    loop
        -- a night's rows lie together, so a few pages of BRIN find them whatever the history
        execute format(
            'create index %I on raw.%I using brin (load_id) with (pages_per_range = 16)',
            kind || '_load_brin', kind
        );
        execute format(
            'create index %I on raw.%I using brin (received_at) with (pages_per_range = 16)',
            kind || '_received_brin', kind
        );
        -- the loader asks for the state of one source in the periods that a file touches
        execute format(
            'create index %I on raw.%I (source, period_start, record_key)',
            kind || '_head', kind
        );
    end loop;
end
$$;
