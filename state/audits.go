package state

import (
	"context"
	"time"

	"github.com/fado-project/fado/audit"
)

// Audits keeps the audit records. They are appended by [Tx.Audit], in the transaction that
// they speak of.
type Audits interface {
	// AuditRecords reads records in order, or the newest first, at most limit (0: all).
	AuditRecords(ctx context.Context, f AuditFilter, limit int) ([]audit.Record, error)
	// AuditHead returns the end of the chain, its Seq 0 if there is none.
	AuditHead(ctx context.Context) (audit.Head, error)
	// TrimAudit removes the records before the last checkpoint that is older than a time;
	// that checkpoint is the first record from then on. It returns how many it removed.
	TrimAudit(ctx context.Context, before time.Time) (int64, error)
}

// AuditFilter selects audit records.
type AuditFilter struct {
	// After is the number of the last record read before.
	After int64
	// Before is the number of a record: only those before it; 0 for no bound.
	Before int64
	// Newest asks for the newest first.
	Newest bool
	// Kind and Subject of the records; "" for any.
	Kind    audit.Kind
	Subject string
	// Since and Until bound their times, Until exclusively; zero for no bound.
	Since, Until time.Time
}

// Order is the SQL of the order asked for.
func (f *AuditFilter) Order() string {
	if f.Newest {
		return "seq DESC"
	}
	return "seq"
}

// Bounds returns Since and Until in milliseconds, as stores compare them.
func (f *AuditFilter) Bounds() (since, until int64) {
	since, until = 0, 1<<62
	if !f.Since.IsZero() {
		since = f.Since.UnixMilli()
	}
	if !f.Until.IsZero() {
		until = f.Until.UnixMilli()
	}
	return since, until
}
