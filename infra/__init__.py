"""What runs the house: settings, embedded Postgres, migrations, command line, supervision."""
