// Package ledger finds audit records by what their bodies say of who came and what became of it.
package ledger

import (
	"context"
	"encoding/json"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/state"
)

// The results of records.
const (
	Done    = "done"
	Refused = "refused" // what policy does not allow, or who was not let in
	Failed  = "failed"  // an action of which nothing or a part was done
)

// Filter narrows records; what is empty narrows nothing.
type Filter struct {
	Role, How, Result string
}

// Matches says whether a record is among those.
func (f Filter) Matches(r *audit.Record) bool {
	if f == (Filter{}) {
		return true
	}
	var b struct {
		Role, How string
		Event     audit.SessionEvent
		State     audit.ActionState
	}
	if json.Unmarshal(r.Body, &b) != nil {
		return false
	}
	result := Done
	if r.Kind == audit.Refused || r.Kind == audit.Session && b.Event == audit.SignInFailed {
		result = Refused
	}
	if r.Kind == audit.Action && b.State == audit.ActionFailed {
		result = Failed
	}
	return (f.Role == "" || f.Role == b.Role) && (f.How == "" || f.How == b.How) && (f.Result == "" || f.Result == result)
}

const (
	// page is how many records are read at a time, most how many are looked at for one answer.
	page = 1000
	most = 50_000
)

// Records is what a store has of the audit.
type Records interface {
	AuditRecords(ctx context.Context, f state.AuditFilter, limit int) ([]audit.Record, error)
}

// Find returns records that match, so many at most, and the number of the last one that was looked at where there may be more behind it; 0 otherwise.
func Find(ctx context.Context, in Records, where state.AuditFilter, f Filter, limit int) (found []audit.Record, last int64, err error) {
	for looked := 0; looked < most; {
		size := page
		if f == (Filter{}) {
			size = limit
		}
		records, err := in.AuditRecords(ctx, where, size)
		if err != nil {
			return nil, 0, err
		}
		for i := range records {
			if !f.Matches(&records[i]) {
				continue
			}
			if found = append(found, records[i]); len(found) == limit {
				return found, records[i].Seq, nil
			}
		}
		if len(records) < size {
			return found, 0, nil
		}
		looked += len(records)
		last = records[len(records)-1].Seq
		if where.Newest {
			where.Before = last
		} else {
			where.After = last
		}
	}
	return found, last, nil
}
