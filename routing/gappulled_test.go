package routing_test

import (
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// Of what may be written anywhere, an object on demand is compared with the primary alone: it is no
// hit while what another copy took may have been missed, though it was compared since.
func TestGapPulledAnywhere(t *testing.T) {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	r := gapWorld(at, func(e *routing.Editor) {
		e.PutPolicy(&catalog.Policy{Name: "p", Writes: catalog.WritesAnywhere})
		copies := synced("c001", "c002")
		copies[1].Compared = at
		for i := range copies {
			copies[i].Anywhere = true
		}
		e.SetCopies("b", copies)
	})
	r.Pulled.Set("b", "k", "c000", catalog.Pulled{Size: 1, ETag: "e", Current: true})
	r.Pulled.Compare("b", "k", "c000", at)
	if !r.Current("b", "k", "c000") {
		t.Fatal("no hit without a gap")
	}
	r.Snapshot().ClusterState("c002").CloseGap(at.Add(time.Minute))
	r.Pulled.Compare("b", "k", "c000", at.Add(2*time.Minute)) // with the primary, which may lack what c002 took
	if r.Current("b", "k", "c001") {
		t.Error("the primary is a hit, though c002 was not compared since")
	}
	if r.Current("b", "k", "c000") {
		t.Error("a hit, though c002 was not compared since")
	}
	r.Compared.Walk(routing.CopyName{Bucket: "b", Cluster: "c002"}, at.Add(2*time.Minute), "k")
	if !r.Current("b", "k", "c000") {
		t.Error("no hit, though c002 was compared")
	}
	r.Pending.Add("b", "k", "c001")
	if r.Current("b", "k", "c000") {
		t.Error("a hit, though the primary is behind")
	}
}

// An object on demand below a rule that has no copies yet is no hit while changes may be missed.
func TestGapPulledBelowANewRule(t *testing.T) {
	r := gapWorld(time.Time{}, nil)
	r.Pulled.Set("b", "x/k", "c000", catalog.Pulled{Size: 1, ETag: "e", Current: true})
	st := r.Snapshot().ClusterState("c001")
	if !r.Current("b", "x/k", "c000") {
		t.Fatal("no hit without a gap")
	}
	st.OpenGap()
	if r.Current("b", "x/k", "c000") {
		t.Fatal("a hit in a gap")
	}
	r.Swap(r.Snapshot().Edit(func(e *routing.Editor) {
		e.PutBucket(&catalog.Bucket{Name: "b", Policy: "p", Prefixes: []catalog.PrefixRule{{Prefix: "x/", Policy: "p"}}})
	}))
	if r.Current("b", "x/k", "c000") {
		t.Error("below a new rule: a hit while changes are being missed")
	}
	st.CloseGap(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	if r.Current("b", "x/k", "c000") {
		t.Error("below a new rule: a hit that was not compared since")
	}
}
