-- The newest revision of each connection. Put the place of the container, or of a copy of it, for {root}.
CREATE OR REPLACE VIEW ApiManagementWebSocketConnections AS
SELECT *
FROM read_parquet('{root}/parquet/ApiManagementWebSocketConnectionRevisions/date=*/hour=*/*.parquet', union_by_name = true)
QUALIFY row_number() OVER (PARTITION BY _ResourceId, CorrelationId, CommitId ORDER BY Revision DESC) = 1;
