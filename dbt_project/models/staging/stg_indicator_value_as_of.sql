{{ latest_as_of('indicator_value') }}
