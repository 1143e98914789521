"""Stand-ins for Azure on one machine, each replaceable by the real thing through a connection string."""
