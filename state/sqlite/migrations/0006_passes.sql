-- +goose Up
-- +goose StatementBegin
-- What lets people and scripts use the console: sessions, tokens, links to sign in with. Of
-- the secrets only SHA-256 hashes are kept.
CREATE TABLE passes (
	sum     TEXT    NOT NULL PRIMARY KEY,
	kind    TEXT    NOT NULL, -- session, token, link
	id      TEXT    NOT NULL,
	name    TEXT    NOT NULL,
	role    TEXT    NOT NULL,
	how     TEXT    NOT NULL,
	proof   TEXT    NOT NULL,
	created INTEGER NOT NULL,
	used    INTEGER NOT NULL,
	until   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX passes_id ON passes (kind, id);
-- +goose StatementEnd
