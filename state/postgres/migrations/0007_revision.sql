-- +goose Up
-- +goose StatementBegin
-- The number of the last change of a zone, cluster, policy or bucket. seq also numbers changes
-- of copies.
ALTER TABLE fado.counters ADD COLUMN revision bigint NOT NULL DEFAULT 0;
UPDATE fado.counters SET revision = seq;
-- +goose StatementEnd
