-- +goose Up
-- +goose StatementBegin
-- Which storage, and which physical bucket in it, the facts of a copy or of a purge's target
-- were learnt at. 0: not known; it is learnt at the next look.
ALTER TABLE copies ADD COLUMN address INTEGER NOT NULL DEFAULT 0;
ALTER TABLE copies ADD COLUMN born INTEGER NOT NULL DEFAULT 0;
ALTER TABLE purge_targets ADD COLUMN address INTEGER NOT NULL DEFAULT 0;
ALTER TABLE purge_targets ADD COLUMN born INTEGER NOT NULL DEFAULT 0;
-- +goose StatementEnd
