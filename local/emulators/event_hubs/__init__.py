"""A local stand-in for Azure Event Hubs: a small AMQP 1.0 broker in plain asyncio, without dependencies.

    python -m local.emulators.event_hubs --port 5673 --data .eventhubs --hub apim-logs:4 --group exporter

Use this connection string (the last part makes clients speak plain TCP):

    Endpoint=sb://127.0.0.1:5673;SharedAccessKeyName=…;SharedAccessKey=…;UseDevelopmentEmulator=true

Two clients were tried with it: the Python SDK (azure-eventhub 5.15.1, sync and aio, with its blob checkpoint
store), which the tests use, and the .NET client that every Functions host contains (Azure.Messaging.EventHubs
5.12.2), whose recorded conversations the tests replay. The broker was not compared with the service.

It does not support TLS, AMQP over WebSocket, Microsoft Entra ID tokens, idempotent producers, transactions,
capture, geo-replication, schema registry, throughput limits, link recovery, or unsettled deliveries to a
reader. Retention only hides events; their disk space is freed when the hub is deleted. To delete a hub,
remove its folder before a start: the hub is then created again with a new `created_at`, and with sequence
numbers and offsets from 0.

    amqp_types   values                             frames          performatives and frames
    messages     the sections of a message          log             the events of one partition, on disk
    addresses    the address of a link              positions       the position a reader starts at
    readers      who may read a partition           partition_keys  the hash of a partition key
    hubs         hubs and their folders             tokens          shared access signatures
    requests     $cbs and $management               nodes           opens links to what has an address
    links, session, connection                      the endpoints of AMQP, from the inside out
    broker       all hubs behind one port           process         a broker as a child process
"""
