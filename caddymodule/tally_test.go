package caddymodule

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

// A gauge that falls to nothing reads 0, and the number of series is bounded.
func TestSeriesThatAreOverReadZero(t *testing.T) {
	t.Parallel()
	var shown map[[2]string]bool
	counts := map[string]int64{"a": 1, "b": 2}
	lasting(&shown, byBucket(counts))
	delete(counts, "b")
	if got := lasting(&shown, byBucket(counts)); !maps.Equal(got, map[[2]string]float64{{"a"}: 1, {"b"}: 0}) {
		t.Errorf("%v", got)
	}
	for n := range 5 * maxTallySeries {
		clear(counts)
		counts[fmt.Sprint(n)] = 1
		lasting(&shown, byBucket(counts))
	}
	if len(shown) > 2*maxTallySeries+1 {
		t.Errorf("%d series", len(shown))
	}
	for n := range 2 * maxTallySeries {
		counts[fmt.Sprint(n)] = int64(n)
	}
	if got := byBucket(counts); len(got) != maxTallySeries || got[[2]string{fmt.Sprint(2*maxTallySeries - 1)}] == 0 {
		t.Errorf("%d series of their own, the largest left out: %v", len(got), got[[2]string{fmt.Sprint(2*maxTallySeries - 1)}] == 0)
	}
}

// A bucket that is no longer among those with most has no series of its own; that is not to say that
// nothing of it waits.
func TestSeriesThatAreLeftOutReadNoZero(t *testing.T) {
	t.Parallel()
	tally := control.Tally{Conflicts: map[string]int64{"few": 1}, HeldDeletes: map[string]int64{"few": 1}}
	c := &tallyCache{
		read: func(context.Context) (control.Tally, error) { return tally, nil },
		sums: func(context.Context) ([]state.CopySum, error) { return nil, nil },
	}
	values := func() map[string]float64 {
		c.due = time.Time{}
		all := make(map[string]float64)
		c.collect(func(d *prometheus.Desc, v float64, labels ...string) {
			if d == conflictsDesc || d == heldDeletesDesc {
				all[d.String()+labels[0]] = v
			}
		})
		return all
	}
	values()
	for n := range maxTallySeries {
		tally.Conflicts[fmt.Sprint("many", n)], tally.HeldDeletes[fmt.Sprint("many", n)] = 2, 2
	}
	for _, d := range []*prometheus.Desc{conflictsDesc, heldDeletesDesc} {
		if v, shown := values()[d.String()+"few"]; shown {
			t.Errorf("%s: %v, want no series", d, v)
		}
	}
	clear(tally.Conflicts)
	clear(tally.HeldDeletes)
	for _, d := range []*prometheus.Desc{conflictsDesc, heldDeletesDesc} {
		if v, shown := values()[d.String()+"many0"]; !shown || v != 0 {
			t.Errorf("%s: %v, %t, want 0", d, v, shown)
		}
	}
}

// The log says once that a bucket needs people, and once that it no longer does.
func TestTroubleIsLoggedOnce(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	var over []string
	l := &troubleLog{log: zap.New(core), over: func(bucket string) { over = append(over, bucket) }}
	expect := func(want ...string) {
		t.Helper()
		var got []string
		for _, e := range logs.TakeAll() {
			got = append(got, fmt.Sprintf("%s %v: %v", e.Level, e.ContextMap()["bucket"], e.ContextMap()["reason"]))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("logged %q, want %q", got, want)
		}
	}
	stuck := control.Trouble{State: control.BucketStuck, Reason: "c2 is down"}
	l.tell(nil)
	expect()
	l.tell(map[string]control.Trouble{"a": stuck})
	expect("warn a: c2 is down")
	l.tell(map[string]control.Trouble{"a": {State: control.BucketStuck, Reason: "another reason"}})
	expect()
	l.tell(map[string]control.Trouble{"a": {State: control.BucketConflict, Reason: "1 object"}, "b": stuck})
	expect("warn a: 1 object", "warn b: c2 is down")
	l.tell(map[string]control.Trouble{"b": stuck})
	expect("info a: was conflict: 1 object")
	if !slices.Equal(over, []string{"a"}) {
		t.Errorf("over for %v", over)
	}

	many := make(map[string]control.Trouble)
	for n := range 10 * maxTold {
		many[fmt.Sprint("m", n)] = stuck
	}
	l.tell(many)
	if got := logs.TakeAll(); len(got) != maxTold+1 || got[maxTold].Level != zapcore.WarnLevel || got[maxTold].ContextMap()["more"] == nil {
		t.Errorf("%d lines", len(got))
	}
}
