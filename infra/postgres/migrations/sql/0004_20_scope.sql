set local role payesh_owner;

-- the warehouse says of a mart that it is read against a written request only
alter table ops.mart add column is_restricted boolean not null default false;

create table ops.access (
    access_id bigint generated always as identity primary key,
    login text not null,
    agency_code text check (agency_code <> ''),
    province_code text check (province_code <> ''),
    granted_at timestamptz not null default clock_timestamp(),
    granted_by text not null default session_user,
    revoked_at timestamptz,
    revoked_by text,
    constraint an_agency_or_a_province check (num_nonnulls(agency_code, province_code) = 1)
);
create unique index access_once on ops.access (login, agency_code, province_code)
nulls not distinct where revoked_at is null;
comment on table ops.access is
'Which agencies and provinces a BI login sees. What was revoked stays, with its time.';

-- ---------------------------------------------------------------- who asks
-- By session_user, the account that logged in: neither `set role` nor a function changes it.
-- All of it must be granted: a login that is not known here, and is no member of a nation-wide
-- role, sees nothing.
create function ops.sees_all() returns boolean
language sql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
    select
        (
            pg_has_role(session_user, 'payesh_bi', 'member')
            or pg_has_role(session_user, 'payesh_transform', 'member')
        )
        and not exists (select from ops.access as a where a.login = session_user)
$$;
comment on function ops.sees_all() is
'True for nation-wide logins; never for one that has been granted an agency or a province.';

create function ops.seen_agencies() returns text[]
language sql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(array_agg(a.agency_code), '{}')
    from ops.access as a
    where a.login = session_user and a.revoked_at is null and a.agency_code is not null
$$;

create function ops.seen_provinces() returns text[]
language sql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(array_agg(a.province_code), '{}')
    from ops.access as a
    where a.login = session_user and a.revoked_at is null and a.province_code is not null
$$;

create function ops.seen_sources() returns text[]
language sql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
    -- whose a source is now, not whose it once was
    select coalesce(array_agg(in_force.source), '{}')
    from (
        select distinct on (s.source) s.source, s.agency_code, s.province_code
        from raw.source as s
        order by s.source asc, s.valid_from desc
    ) as in_force
    where in_force.agency_code = any (ops.seen_agencies())
    or in_force.province_code = any (ops.seen_provinces())
$$;

-- ---------------------------------------------------------------- which rows of a mart
create function ops.scope_condition(p_mart text) returns text
language plpgsql stable as $$
declare
    ever text [] := ops.mart_columns(p_mart);
    parts text [] := '{}';
begin
    if (select m.is_restricted from ops.mart as m where m.mart = p_mart) then
        return null;
    end if;
    -- a dimension is reference data and says nothing of anybody's work; sources have owners
    if p_mart like 'dim\_%' and 'source' <> all (ever) then
        return 'true';
    end if;
    if 'agency_code' = any (ever) then
        parts := parts || 'agency_code = any ((select ops.seen_agencies())::text[])'::text;
    end if;
    if 'province_code' = any (ever) then
        parts := parts || 'province_code = any ((select ops.seen_provinces())::text[])'::text;
    end if;
    if array['level', 'code'] <@ ever then
        parts := parts || array [
            '(level = ''agency'' and code = any ((select ops.seen_agencies())::text[]))',
            '(level = ''province'' and code = any ((select ops.seen_provinces())::text[]))'
        ];
    end if;
    return nullif(array_to_string(parts, ' or '), '');
end
$$;
comment on function ops.scope_condition(text) is
'The rows of a mart that a login sees by its agencies and provinces; null: it sees none of it.';

create function ops.protect_rows(p_mart text) returns void
language plpgsql as $$
declare
    condition text := ops.scope_condition(p_mart);
begin
    execute format('alter table history.%I enable row level security', p_mart);
    execute format('drop policy if exists whole on history.%I', p_mart);
    execute format('drop policy if exists seen on history.%I', p_mart);
    -- who builds also compares, traces and verifies
    execute format(
        'create policy whole on history.%I for select to payesh_transform using (true)', p_mart
    );
    if (select m.is_restricted from ops.mart as m where m.mart = p_mart) then
        return;
    end if;
    execute format(
        'create policy seen on history.%I for select to payesh_reader using ((select ops.sees_all()) %s)',
        p_mart, coalesce('or ' || condition, '')
    );
    execute format('grant select on history.%I to payesh_reader', p_mart);
end
$$;
comment on function ops.protect_rows(text) is
'Row-level security of a mart''s history; made anew whenever the mart gains a column.';

-- ensure_history calls this for a new table and for one whose columns have changed
alter function ops.protect_history(text) rename to protect_columns;
create function ops.protect_history(p_mart text) returns void
language plpgsql as $$
begin
    perform ops.protect_columns(p_mart);
    perform ops.protect_rows(p_mart);
end
$$;

alter function ops.create_views(text) rename to make_views;
create function ops.create_views(p_mart text) returns void
language plpgsql as $$
begin
    if (select m.is_restricted from ops.mart as m where m.mart = p_mart) then
        return;
    end if;
    perform ops.make_views(p_mart);
    execute format('alter view marts.%I owner to payesh_reader', p_mart);
    execute format('alter view marts_as_of.%I owner to payesh_reader', p_mart);
    if ops.scope_condition(p_mart) is not null then
        execute format(
            'grant select on marts.%1$I, marts_as_of.%1$I to payesh_bi_scoped', p_mart
        );
    end if;
end
$$;

-- as before, without restricted marts
create or replace function ops.refresh_lineage() returns void
language plpgsql as $$
declare
    branches text;
    covered text;
begin
    -- Each branch names its mart as a constant, so a filter on `mart` leaves the others unread, and
    -- only the figures that pass the filter are opened.
    select
        string_agg(format(
            'select %1$L::text as mart, jsonb_build_object(%2$s) as figure_key
             from history.%3$I
             where release_from <= (select ops.asked_release())
             and (release_to is null or release_to > (select ops.asked_release()))',
            m.mart,
            (select string_agg(format('%1$L, %1$I', name), ', ' order by place)
             from unnest(m.grain) with ordinality as part (name, place)),
            m.mart
        ), ' union all ' order by m.mart),
        string_agg(m.mart, ',' order by m.mart)
    into branches, covered
    from ops.mart as m
    where not m.is_retired and not m.is_restricted
    and to_regclass(format('history.%I', m.mart)) is not null;
    if branches is null or coalesce(obj_description(to_regclass('marts.kpi_lineage'), 'pg_class'), '')
        like '%Marts: ' || covered || '.' then
        return;
    end if;
    execute
        'create or replace view marts.kpi_lineage as
        select
            (select ops.asked_release()) as release_no, figure.mart, figure.figure_key,
            cell.mart_column, cell.role, cell.weight, cell.kind, cell.field, cell.value,
            cell.source, cell.file_name, cell.locator, cell.header, cell.raw_text,
            cell.snapshot_sha256, cell.rules_version, cell.received_at
        from (' || branches || ') as figure
        cross join lateral ops.lineage_of(figure.mart, figure.figure_key) as cell';
    execute format(
        'comment on view marts.kpi_lineage is %L',
        'Live. Figure -> records -> file, sheet, cell, raw text, for the current release or that of '
        '`set payesh.release = N`. Filter on mart and figure_key: each figure is opened when it is '
        'read. Marts: ' || covered || '.'
    );
    grant select on marts.kpi_lineage to payesh_bi, payesh_transform;
end
$$;

-- ---------------------------------------------------------------- live views
-- What they showed to all, they show to nation-wide logins; the others see what is theirs.
-- security_barrier: a condition of the reader's own never meets a row that is hidden from him.
alter view marts.release_history set schema ops;
revoke all on ops.release_history from payesh_bi;
create view marts.release_history with (security_barrier) as
select
    h.happened_at,
    h.outcome,
    h.release_no,
    h.as_of_week,
    h.reverts_to,
    h.gate_verdict,
    h.changed_rows,
    h.loads,
    h.reports_received,
    h.reports_expected,
    h.reason_code,
    -- a refusal's reason may name any agency's source
    case when (select ops.sees_all()) then h.reason end as reason,
    h.build_id,
    h.content_sha256,
    h.inputs_sha256,
    h.code_sha256,
    h.reference_sha256
from ops.release_history as h;
comment on view marts.release_history is
'Live. A row a publication, a revert or a refusal; for this, release_no is what stood.';

alter view marts.source_freshness set schema ops;
revoke all on ops.source_freshness from payesh_bi;
create view marts.source_freshness with (security_barrier) as
select f.*
from ops.source_freshness as f
where (select ops.sees_all()) or f.source = any((select ops.seen_sources())::text[]);
comment on view marts.source_freshness is
'Live. A row a source: what arrived when, and what became of the last attempt.';

alter view marts.data_quality_finding set schema ops;
revoke all on ops.data_quality_finding from payesh_bi;
create view marts.data_quality_finding with (security_barrier) as
select f.*
from ops.data_quality_finding as f
where (select ops.sees_all()) or f.source = any((select ops.seen_sources())::text[]);
comment on view marts.data_quality_finding is
'Live. A row a refused file, row or cell and a broken expectation: where, why, what to do, whose.';
