"""The command line `payesh`: one module a command group, loaded when it is asked for."""
