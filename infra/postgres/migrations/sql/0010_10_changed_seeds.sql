set local role payesh_owner;

-- of each reference file the hashes of its columns and its content: what differs from the last
-- build is written anew, with what is made of it, and nothing else
alter table ops.build add column reference_files jsonb not null default '{}';
-- reference data that this build writes anew without being a full refresh
alter table ops.build add column changed_seeds text[] not null default '{}';
