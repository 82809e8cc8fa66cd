{{ latest_as_of('rating') }}
