-- +goose Up
-- +goose StatementBegin
-- What lets people and scripts use the console: sessions, tokens, links to sign in with. Of
-- the secrets only SHA-256 hashes are kept.
CREATE TABLE fado.passes (
	sum     text   COLLATE "C" PRIMARY KEY,
	kind    text   COLLATE "C" NOT NULL, -- session, token, link
	id      text   COLLATE "C" NOT NULL,
	name    text   COLLATE "C" NOT NULL,
	role    text   NOT NULL,
	how     text   NOT NULL,
	proof   text   NOT NULL,
	created bigint NOT NULL,
	used    bigint NOT NULL,
	until   bigint NOT NULL
);
CREATE UNIQUE INDEX passes_id ON fado.passes (kind, id);
-- +goose StatementEnd
