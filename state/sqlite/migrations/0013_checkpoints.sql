-- +goose Up
-- +goose StatementBegin
-- Where records may be cut off: few of many, looked for every minute.
CREATE INDEX audit_checkpoints ON audit (seq) WHERE kind = 'checkpoint';
-- +goose StatementEnd
