package lbpolicy_test

import (
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// Invocations are counted once, with each of their inputs, by where they ran and what they read
// from; those that policies forbid are, too.
func TestInvocationsAreCounted(t *testing.T) {
	w := threeClusters(t)
	w.bucket("photos", catalog.Policy{}, "c1")
	w.bucket("closed", catalog.Policy{Clusters: []string{"nowhere"}}, "c1")
	w.router.Ledger.Enable(true)
	s := serve(t, dynamicProxy)
	for range 3 {
		s.get("/", "X-FaDO-Data: s3://photos/a", "X-FaDO-Bytes: 7")
	}
	s.get("/") // names nothing
	s.get("/", "X-FaDO-Bucket: closed")
	lines, lost := w.router.Ledger.Take(w.router.Snapshot())
	if len(lines) != 2 || lost > 0 {
		t.Fatalf("%+v", lines)
	}
	if n := lines[0]; n.Kind != routing.Invoked || n.Bucket != "photos" || n.From != "c1" || n.To != "c1" || n.Count != 3 || n.Bytes != 21 || len(n.Allowed) != 3 {
		t.Errorf("%+v", n)
	}
	if n := lines[1]; n.Kind != routing.Refused || n.Bucket != "closed" || n.By != "routing" || n.Count != 1 || len(n.Allowed) != 0 {
		t.Errorf("%+v", n)
	}
}
