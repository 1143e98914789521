-- The newest revision of each connection. Put the place of the container for {root}, e.g.
-- abfss://websocket-logs@<account>.dfs.core.windows.net
CREATE TABLE IF NOT EXISTS ApiManagementWebSocketConnectionRevisions
USING parquet
OPTIONS (path '{root}/parquet/ApiManagementWebSocketConnectionRevisions', mergeSchema 'true');

-- Finds the folders; without it there are no rows. Again for new ones.
MSCK REPAIR TABLE ApiManagementWebSocketConnectionRevisions;

CREATE OR REPLACE VIEW ApiManagementWebSocketConnections AS
SELECT * EXCEPT (newest)
FROM (
  SELECT *, row_number() OVER (PARTITION BY _ResourceId, CorrelationId, CommitId ORDER BY Revision DESC) AS newest
  FROM ApiManagementWebSocketConnectionRevisions
)
WHERE newest = 1;
