-- +goose Up
-- +goose StatementBegin
-- The number of the last change of a zone, cluster, policy or bucket. seq also numbers changes
-- of copies.
ALTER TABLE counters ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
UPDATE counters SET revision = seq;
-- +goose StatementEnd
