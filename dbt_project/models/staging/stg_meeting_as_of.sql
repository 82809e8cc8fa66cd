{{ latest_as_of('meeting') }}
