-- +goose Up
-- +goose StatementBegin
-- Which object was found to be foreign, by ETag and time; '' where is_foreign is set: any.
ALTER TABLE pending ADD COLUMN foreign_of TEXT NOT NULL DEFAULT '';
-- +goose StatementEnd
