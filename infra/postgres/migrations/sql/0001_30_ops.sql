set local role payesh_owner;

create table ops.night (
    night_id bigint generated always as identity primary key,
    run_id text not null unique,
    as_of_week date not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    status text not null default 'running' check (
        status in ('running', 'done', 'partial', 'failed')
    ),
    summary jsonb
);

create table ops.build (
    build_id bigint generated always as identity primary key,
    run_id text,
    as_of_week date not null,
    is_full_refresh boolean not null,
    full_refresh_reason text,
    code_sha256 text not null,
    reference_sha256 text not null,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    status text not null default 'running' check (status in ('running', 'built', 'failed'))
);

-- what a build takes in: every load that no successful build has taken in before. Asked by load,
-- not by a time, so a load that commits late is never stepped over.
create table ops.build_load (
    build_id bigint not null references ops.build,
    load_id bigint not null references raw.load,
    primary key (build_id, load_id)
);
create index build_load_load on ops.build_load (load_id);

-- which partitions of a mart a build has rewritten; null = all of them
create table ops.touched_partition (
    build_id bigint not null references ops.build,
    mart text not null,
    partition_start date,
    unique nulls not distinct (build_id, mart, partition_start)
);

create table ops.dbt_run_result (
    build_id bigint references ops.build,
    unique_id text not null,
    resource_type text not null,
    status text not null,
    seconds numeric(12, 3) not null,
    rows_affected bigint,
    message text,
    recorded_at timestamptz not null default clock_timestamp()
);
create index dbt_run_result_build on ops.dbt_run_result (build_id);

create table quality.gate (
    gate_id bigint generated always as identity primary key,
    build_id bigint references ops.build,
    stage text not null check (stage in ('raw', 'marts')),
    verdict text not null check (verdict in ('pass', 'warn', 'fail')),
    started_at timestamptz not null,
    finished_at timestamptz not null,
    run_id text
);

create table quality.result (
    gate_id bigint not null references quality.gate,
    result_no integer not null,
    suite text not null,
    -- null: the expectation speaks of the nation, not of one source
    source text,
    expectation text not null,
    relation text not null,
    column_name text,
    severity text not null check (severity in ('fail', 'warn', 'quarantine')),
    is_success boolean not null,
    observed jsonb,
    unexpected_count bigint,
    message text not null,
    rule_version text not null,
    primary key (gate_id, result_no)
);

create table history.release (
    release_no integer primary key,
    build_id bigint not null references ops.build,
    as_of_week date not null,
    published_at timestamptz not null,
    kind text not null check (kind in ('publish', 'revert')),
    reverts_to integer references history.release,
    gate_verdict text not null check (gate_verdict in ('pass', 'warn')),
    changed_rows bigint not null,
    coverage jsonb not null,
    content_sha256 text not null,
    inputs_sha256 text not null,
    code_sha256 text not null,
    reference_sha256 text not null,
    note text
);

create table history.release_load (
    release_no integer not null references history.release,
    load_id bigint not null references raw.load,
    primary key (release_no, load_id)
);
create index release_load_load on history.release_load (load_id);

create table history.release_mart (
    release_no integer not null references history.release,
    mart text not null,
    row_count bigint not null,
    rows_added bigint not null,
    rows_closed bigint not null,
    content_sha256 text not null,
    primary key (release_no, mart)
);

-- nights that did not publish, and why; a refusal never hides
create table history.refusal (
    refusal_id bigint generated always as identity primary key,
    build_id bigint references ops.build,
    as_of_week date not null,
    refused_at timestamptz not null,
    reason_code text not null,
    reason text not null,
    standing_release integer references history.release
);
