-- Roles are shared by the whole server: create what is missing, never alter what is there.
-- The login that migrates becomes a member of each, so `set role` is all a process needs.
do $$
declare
    wanted text;
begin
    foreach wanted in array array[
        'payesh_owner', 'payesh_ingest', 'payesh_transform', 'payesh_bi'
    ]
    loop
        if not exists (select from pg_roles where rolname = wanted) then
            execute format('create role %I nologin', wanted);
        end if;
        if not pg_has_role(current_user, wanted, 'member') then
            execute format('grant %I to current_user', wanted);
        end if;
    end loop;
end
$$;

revoke all on schema public from public;

create schema raw authorization payesh_owner;
create schema ops authorization payesh_owner;
create schema quality authorization payesh_owner;
create schema history authorization payesh_owner;
create schema marts authorization payesh_owner;
create schema marts_as_of authorization payesh_owner;
create schema restricted authorization payesh_owner;
-- dbt owns what it builds
create schema reference authorization payesh_transform;
create schema staging authorization payesh_transform;
create schema intermediate authorization payesh_transform;
create schema build authorization payesh_transform;
