{{ latest_as_of('target') }}
