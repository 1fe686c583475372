package audit_test

import (
	"testing"
	"time"

	"github.com/fado-project/fado/audit"
)

// BenchmarkNext is what every change of the catalogue waits for besides its row.
func BenchmarkNext(b *testing.B) {
	head := audit.Head{}
	e := audit.Entry{
		At: time.Unix(1_700_000_000, 0), Node: "n1", Kind: audit.Change, Actor: "admin 127.0.0.1",
		Body: audit.ChangeBody{Resource: "bucket", Name: "bucket-1", Action: "changed", Before: "0123456789abcdef", After: "fedcba9876543210"},
	}
	b.ReportAllocs()
	for b.Loop() {
		r, err := head.Next(e)
		if err != nil {
			b.Fatal(err)
		}
		head = r.Head()
	}
}
