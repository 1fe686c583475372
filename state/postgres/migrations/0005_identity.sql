-- +goose Up
-- +goose StatementBegin
-- Which storage, and which physical bucket in it, the facts of a copy or of a purge's target
-- were learnt at. 0: not known; it is learnt at the next look.
ALTER TABLE fado.copies ADD COLUMN address bigint NOT NULL DEFAULT 0;
ALTER TABLE fado.copies ADD COLUMN born bigint NOT NULL DEFAULT 0;
ALTER TABLE fado.purge_targets ADD COLUMN address bigint NOT NULL DEFAULT 0;
ALTER TABLE fado.purge_targets ADD COLUMN born bigint NOT NULL DEFAULT 0;
-- +goose StatementEnd
