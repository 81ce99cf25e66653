-- What has ended long ago is found by its end, and pruned in small batches.

CREATE INDEX security_events_created_at_idx ON auth.security_events (created_at);
CREATE INDEX sessions_revoked_at_idx ON auth.sessions (revoked_at) WHERE revoked_at IS NOT NULL;
