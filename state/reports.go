package state

import (
	"context"
	"time"
)

// Report is what an instance tells the others: what only it knows and they need, but
// nothing that a promise hangs on.
type Report struct {
	Name string
	Body string
	// At is when it was put, by the store's clock.
	At time.Time
}

// Reports keeps the last report under each name, as progress. A report wakes no
// watcher, and is not migrated to another store.
type Reports interface {
	// PutReport adds a report or replaces the one of that name.
	PutReport(ctx context.Context, name, body string) error
	// ListReports reads those whose names begin with a prefix, sorted by name, in one
	// statement.
	ListReports(ctx context.Context, prefix string) ([]Report, error)
	// DeleteReport removes one; nothing happens where there is none.
	DeleteReport(ctx context.Context, name string) error
}
