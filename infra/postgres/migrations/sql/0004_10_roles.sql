-- payesh_reader owns the views of the marts: row-level security holds for it, and not for the owner
-- of the tables, who publishes. payesh_bi_scoped reads those views and sees what its login has been
-- granted; payesh_restricted may ask for restricted data. Airflow's role is made here too, because
-- the locks below are granted by name.
do $$
declare
    wanted text;
    is_modern constant boolean := current_setting('server_version_num')::integer >= 160000;
begin
    if is_modern then
        -- since 16 who creates a role may administer it, yet not become it, unless this is said
        perform set_config('createrole_self_grant', 'set, inherit', true);
    end if;
    foreach wanted in array array[
        'payesh_reader', 'payesh_bi_scoped', 'payesh_restricted', 'payesh_airflow'
    ]
    loop
        if not exists (select from pg_roles where rolname = wanted) then
            execute format('create role %I nologin', wanted);
        end if;
        if not pg_has_role(current_user, wanted, case when is_modern then 'set' else 'member' end)
        then
            execute format('grant %I to current_user', wanted);
        end if;
    end loop;
    if not pg_has_role('payesh_owner', 'payesh_reader', 'member') then
        grant payesh_reader to payesh_owner;
    end if;
end
$$;

-- Advisory locks order builds and publications, and large objects are written by anybody: a login
-- that only reads must neither hold up a release nor leave anything behind. Only a superuser may
-- say so; a managed server keeps its own rules (see infra/docs/adr/0009).
do $$
declare
    one regprocedure;
begin
    if not (select rolsuper from pg_roles where rolname = current_user) then
        return;
    end if;
    for one in
        select p.oid::regprocedure from pg_proc as p
        where p.pronamespace = 'pg_catalog'::regnamespace
        and (
            p.proname ~ '^pg_(try_)?advisory_(xact_)?lock(_shared)?$'
            or p.proname in ('lo_creat', 'lo_create', 'lo_from_bytea')
        )
    loop
        execute format('revoke execute on function %s from public', one);
        execute format(
            'grant execute on function %s to payesh_owner, payesh_ingest, payesh_transform,'
            ' payesh_airflow', one
        );
    end loop;
end
$$;
