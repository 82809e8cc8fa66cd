set local role payesh_owner;

-- No role but the owner can update or delete what has been received or published.
grant usage on schema raw to payesh_ingest, payesh_transform;
grant select on all tables in schema raw to payesh_ingest, payesh_transform;
grant insert on all tables in schema raw to payesh_ingest;
revoke insert on raw.record from payesh_ingest;
-- a source file that goes back to an earlier version takes that version into force again
grant update (valid_from) on raw.source to payesh_ingest;

grant usage on schema ops to payesh_ingest, payesh_transform;
grant select on all tables in schema ops to payesh_ingest, payesh_transform;
grant insert, update on ops.night to payesh_ingest, payesh_transform;
grant insert, update on ops.build to payesh_transform;
grant insert on ops.build_load, ops.dbt_run_result to payesh_transform;
grant insert, delete on ops.touched_partition to payesh_transform;

grant usage on schema quality to payesh_transform, payesh_ingest;
grant select on all tables in schema quality to payesh_transform, payesh_ingest;
grant insert on all tables in schema quality to payesh_transform;

grant usage on schema history to payesh_transform;
grant select on all tables in schema history to payesh_transform;
grant insert on history.refusal to payesh_transform;

-- BI reads releases and nothing else; a mart's own view is granted when it is first published.
grant usage on schema marts, marts_as_of to payesh_bi, payesh_transform;

-- the owner publishes what dbt has built, and reads it to do so
set local role payesh_transform;
grant usage on schema reference, staging, intermediate, build to payesh_owner, payesh_ingest;
alter default privileges in schema reference grant select on tables to payesh_owner, payesh_ingest;
alter default privileges in schema staging grant select on tables to payesh_owner;
alter default privileges in schema intermediate grant select on tables to payesh_owner;
alter default privileges in schema build grant select on tables to payesh_owner;
