"""What stands behind a model version: a statement, the charter it follows from, and each site's signed word."""
