package routing_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// ledgerWorld is a snapshot with buckets of one policy, which allows c1.
func ledgerWorld(buckets int) *routing.Snapshot {
	return routing.NewSnapshot().Edit(func(e *routing.Editor) {
		for _, name := range []string{"c1", "c2"} {
			c := &catalog.Cluster{Name: name}
			c.Normalize()
			e.PutCluster(c)
		}
		p := &catalog.Policy{Name: "p", Clusters: []string{"c1"}}
		p.Normalize()
		e.PutPolicy(p)
		for i := range buckets {
			b := &catalog.Bucket{Name: fmt.Sprintf("bkt-%d", i), Policy: "p"}
			b.Normalize()
			e.PutBucket(b)
		}
		e.SetHere("c1")
	})
}

// What is counted comes out once, summed, with what its policy allowed when it was counted.
func TestLedger(t *testing.T) {
	t.Parallel()
	s := ledgerWorld(1)
	l := new(routing.Ledger)
	l.Carried(s, "bkt-0", "k", "c1", "c2", 7)
	if lines, lost := l.Take(s); len(lines) > 0 || lost > 0 {
		t.Errorf("counts while it is off: %+v", lines)
	}
	l.Enable(true)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				l.Carried(s, "bkt-0", "k", "c1", "c2", 7)
				l.Refused(s, "bkt-0", "k", "c2")
			}
		})
	}
	wg.Wait()
	l.Refused(s, "unknown", "k", "c2")
	wide := s.Edit(func(e *routing.Editor) {
		p := &catalog.Policy{Name: "p", Clusters: []string{"c1", "c2"}}
		p.Normalize()
		e.PutPolicy(p)
	})
	l.Carried(wide, "bkt-0", "k", "c1", "c2", 1)
	lines, lost := l.Take(wide)
	if lost > 0 || len(lines) != 3 {
		t.Fatalf("%+v, lost %d", lines, lost)
	}
	for i, want := range []routing.LedgerLine{
		{Kind: routing.Refused, Bucket: "bkt-0", Policy: "p", Allowed: []string{"c1"}, To: "c2", By: "guard", Count: 400},
		{Kind: routing.Carried, Bucket: "bkt-0", Policy: "p", Allowed: []string{"c1"}, From: "c1", To: "c2", Via: "c1", Count: 400, Bytes: 2800},
		{Kind: routing.Carried, Bucket: "bkt-0", Policy: "p", Allowed: []string{"c1", "c2"}, From: "c1", To: "c2", Via: "c1", Count: 1, Bytes: 1},
	} {
		if got := fmt.Sprintf("%+v", lines[i]); got != fmt.Sprintf("%+v", want) {
			t.Errorf("%s\nwant %+v", got, want)
		}
	}
	again, _ := l.Take(wide, lines...)
	if fmt.Sprint(again) != fmt.Sprint(lines) {
		t.Errorf("put back: %+v", again)
	}
}

// The memory of a ledger, and the lines that come out, are bounded, and nothing is counted twice or
// not at all while there is room for policies.
func TestLedgerIsBounded(t *testing.T) {
	t.Parallel()
	const buckets = 30_000
	s := ledgerWorld(buckets)
	l := new(routing.Ledger)
	l.Enable(true)
	for i := range buckets {
		l.Carried(s, fmt.Sprintf("bkt-%d", i), "k", "c1", "c2", 2)
	}
	for range 5 {
		l.Carried(s, "bkt-7", "k", "c1", "c2", 2)
	}
	lines, lost := l.Take(s)
	var count, bytes int64
	others := 0
	for _, n := range lines {
		count, bytes = count+n.Count, bytes+n.Bytes
		if n.Any {
			others++
		}
	}
	if lost > 0 || count != buckets+5 || bytes != 2*(buckets+5) || others != 1 || len(lines) > 300 {
		t.Errorf("%d lines, %d of others, %d objects, %d bytes, %d lost", len(lines), others, count, bytes, lost)
	}
}

func BenchmarkLedger(b *testing.B) {
	s := ledgerWorld(1000)
	l := new(routing.Ledger)
	l.Enable(true)
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("bkt-%d", i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l.Carried(s, names[i%1000], "k", "c1", "c2", 2)
		i++
	}
}
