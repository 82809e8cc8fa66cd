{{ latest_as_of('service_status') }}
