-- +goose Up
-- +goose StatementBegin
-- Audit records, see package audit: a chain whose end counters keep.
CREATE TABLE fado.audit (
	seq bigint PRIMARY KEY,
	at bigint NOT NULL,
	node text NOT NULL,
	kind text NOT NULL,
	actor text NOT NULL,
	subject text NOT NULL,
	body text NOT NULL,
	prev text NOT NULL,
	hash text NOT NULL
);
-- The clusters of each policy as they were recorded last.
CREATE TABLE fado.audit_allowed (
	policy text COLLATE "C" PRIMARY KEY,
	clusters text NOT NULL
);
ALTER TABLE fado.counters ADD COLUMN audit_seq bigint NOT NULL DEFAULT 0;
ALTER TABLE fado.counters ADD COLUMN audit_hash text NOT NULL DEFAULT '';
-- +goose StatementEnd
