-- +goose Up
-- +goose StatementBegin
-- IDs of versions that the primary's storage told it has removed for good.
ALTER TABLE pending ADD COLUMN gone TEXT NOT NULL DEFAULT '';
CREATE INDEX pending_gone ON pending (bucket, key, cluster) WHERE gone <> '';
-- +goose StatementEnd
