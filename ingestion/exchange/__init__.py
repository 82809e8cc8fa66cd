"""What agencies are handed: contracts to sign and form workbooks to fill in.

In: record kinds, source files, code lists. Out: Open Data Contract Standard documents
(`ingestion.exchange.odcs`) and workbooks with the source file that reads them
(`ingestion.exchange.form`).
Run it: `payesh contract --help`, `payesh form --help`
"""
