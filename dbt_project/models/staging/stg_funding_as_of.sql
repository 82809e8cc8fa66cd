{{ latest_as_of('funding') }}
