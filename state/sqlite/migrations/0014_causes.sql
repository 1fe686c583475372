-- +goose Up
-- +goose StatementBegin
-- What kind of error the last attempt ended with; '' where that is not known.
ALTER TABLE pending ADD COLUMN cause TEXT NOT NULL DEFAULT '';

-- The causes of a copy's failing rows, each with its oldest, and the oldest delete that is held there.
DROP INDEX pending_failing_copy;
CREATE INDEX pending_causes ON pending (bucket, cluster, cause, since) WHERE attempts > 0 AND hold = '';
CREATE INDEX pending_held_deletes ON pending (bucket, cluster, since) WHERE hold = 'deletes';
-- +goose StatementEnd
