"""The warehouse's runner: what a build takes in, dbt as a child process, what became of it.

In: loads in `raw`, the dbt project. Out: marts in `build`, rows of `ops.build`,
`ops.dbt_run_result` and `ops.mart`. What the marts hold and how is dbt's own
(`dbt_project/`); what is published is decided by the gate and `infra.release`.
Run it: `payesh nightly`
"""
