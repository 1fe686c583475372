package latency

import (
	"testing"
	"time"
)

// Hedges stay few.
func TestHedgesAreFew(t *testing.T) {
	t.Parallel()
	var l Book
	l.asked.Store(1000)
	n := 0
	for ; l.MayHedge(); n++ {
	}
	if n < 100 || n > 105 {
		t.Errorf("%d of 1000", n)
	}
	for range 95 {
		l.Note("c", 2*time.Millisecond)
	}
	for range 5 {
		l.Note("c", 200*time.Millisecond)
	}
	if got := l.HedgeAfter("c"); got < 200*time.Millisecond || got > 400*time.Millisecond {
		t.Errorf("asked again after %v", got)
	}
	for range 2 * Enough {
		l.Note("quick", time.Millisecond)
	}
	if got := l.HedgeAfter("quick"); got != leastHedge {
		t.Errorf("asked again after %v", got)
	}
	if got := l.HedgeAfter("unknown"); got != firstHedge {
		t.Errorf("asked again after %v", got)
	}
}

// The quickest storage is known after a few answers, what differs by little counts as the same, and
// what was learned is forgotten by and by.
func TestTheQuickestIsKnown(t *testing.T) {
	t.Parallel()
	var l Book
	if got := l.Of("unknown"); got != 0 {
		t.Errorf("of one that was never asked: %v", got)
	}
	for range 20 {
		l.Note("near", 11*time.Millisecond)
		l.Note("here", 9*time.Millisecond)
		l.Note("far", 80*time.Millisecond)
	}
	if near, here, far := l.Of("near"), l.Of("here"), l.Of("far"); near != here || far <= near {
		t.Errorf("near %v, here %v, far %v", near, here, far)
	}
	for range 50 {
		l.Note("far", time.Millisecond)
	}
	if far, near := l.Of("far"), l.Of("near"); far >= near {
		t.Errorf("far is %v after it became quick, near %v", far, near)
	}
	for range 2 * forgetAt {
		l.Note("slow once", time.Hour)
	}
	if got := l.HedgeAfter("slow once"); got != MostHedge {
		t.Errorf("asked again after %v, want no more than %v", got, MostHedge)
	}
	for range 40 * forgetAt {
		l.Note("slow once", time.Millisecond)
	}
	if got := l.HedgeAfter("slow once"); got != leastHedge {
		t.Errorf("asked again after %v, long after it became quick", got)
	}
}

// Reads that are made are what allows more hedges.
func TestReadsAllowHedges(t *testing.T) {
	t.Parallel()
	var l Book
	for l.MayHedge() {
	}
	before := l.Hedged()
	for range hedgeShare * 2 {
		l.Asked()
	}
	for l.MayHedge() {
	}
	if got := l.Hedged() - before; got != 2 {
		t.Errorf("%d more for %d reads, want 2", got, 2*hedgeShare)
	}
}
