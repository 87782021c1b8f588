"""OpenSearch and Elasticsearch: what is done to an index to get fresh answers."""
