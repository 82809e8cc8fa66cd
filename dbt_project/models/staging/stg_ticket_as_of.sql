{{ latest_as_of('ticket') }}
