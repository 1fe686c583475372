-- +goose Up
-- +goose StatementBegin
-- What kind of error the last attempt ended with; '' where that is not known.
ALTER TABLE fado.pending ADD COLUMN cause text COLLATE "C" NOT NULL DEFAULT '';

-- The causes of a copy's failing rows, each with its oldest, and the oldest delete that is held there.
DROP INDEX fado.pending_failing_copy;
CREATE INDEX pending_causes ON fado.pending (bucket, cluster, cause, since) WHERE attempts > 0 AND hold = '';
CREATE INDEX pending_held_deletes ON fado.pending (bucket, cluster, since) WHERE hold = 'deletes';
-- +goose StatementEnd
