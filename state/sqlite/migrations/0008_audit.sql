-- +goose Up
-- +goose StatementBegin
-- Audit records, see package audit: a chain whose end counters keep.
CREATE TABLE audit (
	seq INTEGER PRIMARY KEY,
	at INTEGER NOT NULL,
	node TEXT NOT NULL,
	kind TEXT NOT NULL,
	actor TEXT NOT NULL,
	subject TEXT NOT NULL,
	body TEXT NOT NULL,
	prev TEXT NOT NULL,
	hash TEXT NOT NULL
);
-- The clusters of each policy as they were recorded last.
CREATE TABLE audit_allowed (
	policy TEXT PRIMARY KEY,
	clusters TEXT NOT NULL
) WITHOUT ROWID;
ALTER TABLE counters ADD COLUMN audit_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE counters ADD COLUMN audit_hash TEXT NOT NULL DEFAULT '';
-- +goose StatementEnd
