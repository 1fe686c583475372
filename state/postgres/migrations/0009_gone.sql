-- +goose Up
-- +goose StatementBegin
-- IDs of versions that the primary's storage told it has removed for good.
ALTER TABLE fado.pending ADD COLUMN gone text NOT NULL DEFAULT '';
CREATE INDEX pending_gone ON fado.pending (bucket, key, cluster) WHERE gone <> '';
-- +goose StatementEnd
