{{ latest_as_of('progress') }}
