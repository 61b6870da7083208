-- Queries are embedded by the API: they take from the same bucket as the documents that workers embed.
GRANT INSERT, UPDATE ON etl_rate_bucket TO anneal_api;
