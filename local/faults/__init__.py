"""What can go wrong with hosts, storage and connections, done to the stack on this machine on purpose."""
