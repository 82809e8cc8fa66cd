{{ latest_as_of('obligation_event') }}
