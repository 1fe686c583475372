-- +goose Up
-- +goose StatementBegin
-- Rows that may be claimed, of the buckets whose bytes may pass.
CREATE INDEX pending_queue_copy ON pending (cluster, bucket, background, due) WHERE hold = '' AND claimed_by = '';
-- +goose StatementEnd
