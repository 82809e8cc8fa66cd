set local role payesh_owner;

-- What orders builds, publications and loads are locks on things that a reader has no right to.
-- Anybody who can log in may take any advisory lock, and only a superuser can forbid it, which a
-- managed server has none of: a BI login could have held up a release for ever (see ADR 0012).
create table ops.publication ();
comment on table ops.publication is
'Holds no rows: who publishes locks it, so that publications follow each other.';
create table ops.build_start ();
comment on table ops.build_start is 'Holds no rows: who starts a build locks it.';
create table ops.build_at_work ();
comment on table ops.build_at_work is
'Holds no rows: the process that runs dbt keeps it locked in exclusive mode while it works.';
-- a table can be locked by those who may update it
grant update on ops.build_start, ops.build_at_work to payesh_transform;

create table ops.source_at_work (source text primary key);
comment on table ops.source_at_work is
'A row a source: who fetches or loads it holds the row''s lock until its transaction ends.';

create function ops.lock_source(p_source text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform from ops.source_at_work as s where s.source = p_source for update;
    if not found then
        -- waits where another transaction is just entering it
        insert into ops.source_at_work (source) values (p_source) on conflict do nothing;
        perform from ops.source_at_work as s where s.source = p_source for update;
    end if;
end
$$;
comment on function ops.lock_source(text) is
'Waits until no other transaction works on the source; released when this one ends.';

create or replace function ops.publication_lock() returns void
language plpgsql as $$
begin
    lock table ops.publication in exclusive mode;
end
$$;

create function ops.try_build_lock() returns boolean
language plpgsql as $$
begin
    lock table ops.build_at_work in exclusive mode nowait;
    return true;
exception
    when lock_not_available then
        return false;
end
$$;
comment on function ops.try_build_lock() is
'True when no dbt is at work; none can begin before this transaction has ended.';

create or replace function ops.is_building() returns boolean
language sql stable as $$
    select exists (
        select from pg_locks as l
        where l.locktype = 'relation' and l.granted and l.mode = 'ExclusiveLock'
        and l.relation = 'ops.build_at_work'::regclass
        and l.database = (select d.oid from pg_database as d where d.datname = current_database())
    )
$$;

-- the rest of the function is as it was
do $$
declare
    old text := 'pg_try_advisory_xact_lock(7291430155002)';
    body text := pg_get_functiondef('ops.publish(bigint, timestamptz, text)'::regprocedure);
begin
    if position(old in body) = 0 then
        raise exception 'ops.publish does not take the lock that is to be replaced';
    end if;
    execute replace(body, old, 'ops.try_build_lock()');
end
$$;

-- Plans over the lineage views are long and run for milliseconds: compiling them costs seconds.
alter function ops.lineage_lines(text, jsonb, text) set jit = off;

revoke execute on function ops.lock_source(text), ops.try_build_lock() from public;
grant execute on function ops.lock_source(text) to payesh_ingest;
