package ledger

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/state"
)

// book has records, numbered from 1.
type book struct {
	records []audit.Record
	err     error
}

func (b *book) add(kind audit.Kind, body string) {
	b.records = append(b.records, audit.Record{Seq: int64(len(b.records) + 1), Kind: kind, Body: []byte(body)})
}

func (b *book) AuditRecords(_ context.Context, f state.AuditFilter, limit int) (found []audit.Record, _ error) {
	for i := range b.records {
		r := b.records[i]
		if f.Newest {
			r = b.records[len(b.records)-1-i]
		}
		if r.Seq > f.After && (f.Before == 0 || r.Seq < f.Before) && len(found) < limit {
			found = append(found, r)
		}
	}
	return found, b.err
}

// Records are found by role, way of coming and result, page by page, in both directions.
func TestFind(t *testing.T) {
	t.Parallel()
	b := new(book)
	for range 1200 {
		b.add(audit.Checkpoint, `{}`)
	}
	b.add(audit.Change, `{"role":"admin","how":"token"}`)
	b.add(audit.Session, `{"event":"sign-in-failed","how":"password","role":""}`)
	b.add(audit.Refused, `{}`)
	b.add(audit.Action, `{"state":"failed","role":"operator"}`)
	b.add(audit.Action, `{"state":"begun","role":"operator"}`)
	for range 1200 {
		b.add(audit.Checkpoint, `{}`)
	}
	for want, f := range map[string]Filter{
		"[1201]":      {Role: "admin"},
		"[1201] ":     {How: "token", Result: Done},
		"[1202]":      {How: "password"},
		"[1202 1203]": {Result: Refused},
		"[1204]":      {Result: Failed},
		"[1205]":      {Role: "operator", Result: Done},
		"[]":          {Role: "viewer"},
	} {
		for _, newest := range []bool{false, true} {
			found, last, err := Find(t.Context(), b, state.AuditFilter{Newest: newest}, f, 10)
			var seqs []int64
			for _, r := range found {
				seqs = append(seqs, r.Seq)
			}
			if newest && len(seqs) == 2 {
				seqs[0], seqs[1] = seqs[1], seqs[0]
			}
			if got := fmt.Sprint(seqs); got != want && got+" " != want || last != 0 || err != nil {
				t.Errorf("%+v: got %s, %d, %v, want %s", f, got, last, err, want)
			}
		}
	}
	if found, last, _ := Find(t.Context(), b, state.AuditFilter{}, Filter{Result: Done}, 1201); len(found) != 1201 || last != 1201 {
		t.Errorf("a page: %d, %d", len(found), last)
	}
	b.err = errors.New("no store")
	if _, _, err := Find(t.Context(), b, state.AuditFilter{}, Filter{}, 1); !errors.Is(err, b.err) {
		t.Errorf("%v", err)
	}
}
