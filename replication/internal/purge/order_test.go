package purge

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

func rowIn(prefix, cluster string) state.Copy {
	return state.Copy{Bucket: "b", Copy: catalog.Copy{Prefix: prefix, Cluster: cluster}}
}

// A purge knows of every cluster what was known of all copies there: what one of them lacks
// counts for none.
func TestNewPurge(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	early, late := now.Add(-2*time.Hour), now.Add(-time.Hour)
	rows := []state.Copy{rowIn("", "c1"), rowIn("", "c2"), rowIn("a/", "c2"), rowIn("a/", "c3")}
	rows[0].Primary, rows[0].VerifiedAt = true, now
	rows[1].VerifiedAt, rows[1].OwnedUntil = now, late
	rows[2].VerifiedAt, rows[2].OwnedUntil, rows[2].MadeBucket = now, early, true
	pulled := []state.Pulled{{Bucket: "b", Key: "k", Cluster: "c2"}, {Bucket: "b", Key: "k", Cluster: "c4"}}
	got := newPurge("b", state.PurgeCopies, rows, pulled, now, func(string) int64 { return 0 })
	want := state.Purge{Bucket: "b", Mode: state.PurgeCopies, Primary: "c1", Since: now, Targets: []state.PurgeTarget{
		{Cluster: "c1", Primary: true, Verified: true},
		{Cluster: "c2", Verified: true, MadeBucket: true, OwnedUntil: early},
		{Cluster: "c3"},
		{Cluster: "c4", Verified: true, PulledOnly: true},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the purge is\n%+v, want\n%+v", got, want)
	}
}

// Where the rows don't say at which storage they were learnt, it is the declared one.
func TestNewPurgeNamesTheStorages(t *testing.T) {
	t.Parallel()
	rows := []state.Copy{rowIn("", "c1"), rowIn("", "c2")}
	rows[1].At = 7
	got := newPurge("b", state.PurgeAll, rows, nil, time.Now(), func(cluster string) int64 { return map[string]int64{"c1": 3, "c2": 5}[cluster] })
	if got.Targets[0].At != 3 || got.Targets[1].At != 7 {
		t.Errorf("targets are %+v", got.Targets)
	}
}

// Of objects copied on demand the whole bucket goes where FaDO made it for them, else these
// objects alone; where there is a copy they go with it.
func TestPulledTargets(t *testing.T) {
	t.Parallel()
	got := pulledTargets([]state.PurgeTarget{{Cluster: "copy"}}, []state.Pulled{
		{Cluster: "theirs", Key: "a"}, {Cluster: "made", Key: "a"}, {Cluster: "made"}, {Cluster: "copy", Key: "a"}, {Cluster: "copy"}, {Cluster: "made", Key: "b"},
	})
	want := []state.PurgeTarget{{Cluster: "made", Verified: true, MadeBucket: true}, {Cluster: "theirs", Verified: true, PulledOnly: true}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("targets are %+v, want %+v", got, want)
	}
	if got := pulledTargets(nil, nil); got != nil {
		t.Errorf("without any: %+v", got)
	}
}

// A bucket leaves the catalogue with the note of what is to be removed, and nothing is removed yet.
func TestOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	in := w.order(state.PurgeCopies)
	if _, err := w.Ctl.Resources.Get(t.Context(), catalog.KindBucket, bkt); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("the bucket is still declared: %v", err)
	}
	if w.Ctl.Router().Snapshot().Bucket(bkt) != nil {
		t.Error("the bucket is still routed")
	}
	if in.Mode != state.PurgeCopies || in.Primary != "c1" || len(in.Targets) != 2 || in.Targets[0].At == 0 || in.Since.IsZero() {
		t.Errorf("noted is %+v", in)
	}
	w.WantSame("c1", "c2")
}

// What can't be ordered is not noted, and the bucket stays.
func TestOrderIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	w.WantErr(w.Order(t.Context(), "nobody", state.PurgeAll, control.Precondition{}), control.ErrNotFound)
	w.WantErr(w.Order(t.Context(), bkt, state.PurgeAll, control.Precondition{IfMatch: []string{`"no"`}}), control.ErrPrecondition)
	if w.Order(t.Context(), bkt, "some", control.Precondition{}) == nil {
		t.Error("a mode that is none is taken")
	}
	if left := w.underWay(); len(left) != 0 || w.Ctl.Router().Snapshot().Bucket(bkt) == nil {
		t.Errorf("noted are %+v", left)
	}
}
