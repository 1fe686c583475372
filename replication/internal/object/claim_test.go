package object

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// FaDO may replace or remove what carries its mark in a copy that was compared or a bucket
// it made, and what was compared before; nothing else.
func TestOwns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c1, c2 := w.o.Sites.Get("c1"), w.o.Sites.Get("c2")
	until := time.Unix(1000, 0)
	before, after := until.Add(-time.Second), until.Add(time.Second)
	gave := storage.Object{Key: "given", ETag: "e", Size: 3, LastModified: after}
	w.Provenance.given.Note(givenRef(bkt, "given", c2, c1), gave)
	again := gave // the same content, written by a user
	again.LastModified = after.Add(time.Second)
	verified := state.Copy{Bucket: bkt, Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySynced}, VerifiedAt: time.Unix(1, 0), OwnedUntil: until}
	syncing := state.Copy{Bucket: bkt, Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySyncing, Cursor: "m"}, OwnedUntil: until}
	fresh := state.Copy{Bucket: bkt, Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySyncing}, OwnedUntil: until}
	made := fresh
	made.MadeBucket = true
	neverOwned := verified
	neverOwned.OwnedUntil = time.Time{}
	marked := storage.Object{Replica: true, LastModified: after}
	for _, tc := range []struct {
		name    string
		row     state.Copy
		key     string
		o       storage.Object
		foreign state.Foreign
		want    bool
	}{
		{"marked, compared", verified, "k", marked, "", true},
		{"marked, on record as foreign", verified, "k", marked, state.ForeignAny, false},
		{"marked, up to the cursor", syncing, "m", marked, "", true},
		{"marked, beyond the cursor", syncing, "n", marked, "", false},
		{"marked, nothing compared yet", fresh, "", marked, "", false},
		{"marked, in a bucket that FaDO made", made, "n", marked, "", true},
		{"unmarked, compared and older", verified, "k", storage.Object{LastModified: before}, "", true},
		{"unmarked, of the very second", verified, "k", storage.Object{LastModified: until}, "", false},
		{"unmarked, newer", verified, "k", storage.Object{LastModified: after}, "", false},
		{"marked, it is the foreign one", verified, "k", marked, ForeignOf(marked), false},
		{"marked, and another one was foreign", verified, "k", marked, "e of then", true},
		{"marked, and another one was foreign, in a copy that was not compared", fresh, "k", marked, "e of then", false},
		{"unmarked, older, and another one was foreign", verified, "k", storage.Object{LastModified: before}, "e of then", false},
		{"given from here, and another one was foreign", verified, "given", gave, "e of then", false},
		{"unmarked, older and foreign", verified, "k", storage.Object{LastModified: before}, state.ForeignAny, false},
		{"unmarked, older, never owned", neverOwned, "k", storage.Object{LastModified: before}, "", false},
		{"unmarked, older, beyond the cursor", syncing, "n", storage.Object{LastModified: before}, "", false},
		{"unmarked, in a bucket that FaDO made", made, "k", storage.Object{LastModified: before}, "", false},
		{"given from here", verified, "given", gave, "", true},
		{"another version than was given", verified, "given", storage.Object{ETag: "f", Size: 3, LastModified: after}, "", false},
		{"what was given, written again", verified, "given", again, "", false},
		{"given, in a copy that was not compared", fresh, "given", gave, "", false},
	} {
		c := Claim{
			By: w.Provenance, Bucket: bkt, Copy: tc.row.Routed(), MadeBucket: tc.row.MadeBucket, At: Sides{Src: c1, Dst: c2},
			Foreign: tc.foreign, OwnedUntil: OwnedUntil(tc.row),
		}
		if got, err := c.Owns(t.Context(), tc.key, tc.o); err != nil || got != tc.want {
			t.Errorf("%s: owned %v, %v; want %v", tc.name, got, err, tc.want)
		}
	}
}

func TestSupersedes(t *testing.T) {
	t.Parallel()
	old, now := time.Unix(1000, 0), time.Unix(2000, 500)
	for _, tc := range []struct {
		name    string
		src     time.Time
		dst     storage.Object
		foreign bool
		want    bool
	}{
		{"newer than the marked copy's source", now, storage.Object{Replica: true, Source: storage.Source{ModTime: old}, LastModified: now.Add(time.Hour)}, false, true},
		{"the same second", now, storage.Object{Replica: true, Source: storage.Source{ModTime: now.Truncate(time.Second)}}, false, false},
		{"older", old, storage.Object{Replica: true, Source: storage.Source{ModTime: now}}, false, false},
		{"no source on record, newer", now, storage.Object{Replica: true, LastModified: old}, false, true},
		{"unmarked", now, storage.Object{LastModified: old}, false, false},
		{"foreign", now, storage.Object{Replica: true, Source: storage.Source{ModTime: old}}, true, false},
	} {
		if got := supersedes(storage.Object{LastModified: tc.src}, tc.dst, tc.foreign); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// Every error has one kind, the one that says most, however it is wrapped.
func TestKindOf(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err  error
		want state.Cause
	}{
		{ErrConflict, "conflict"},
		{ErrHeld, "held"},
		{site.ErrUnversioned, "unversioned"},
		{guard.ErrForbidden, "forbidden"},
		{fmt.Errorf("%w: %w", ErrNoSource, storage.ErrNoBucket), "no_source"},
		{control.ErrCutOff, "cut_off"},
		{site.ErrDown, "down"},
		{fmt.Errorf("%w: %w", ErrStalled, storage.ErrUnavailable), "stalled"},
		{storage.ErrDenied, "denied"},
		{fmt.Errorf("%w: %w", site.ErrFullWait, storage.ErrFull), "full"},
		{storage.ErrRefused, "refused"},
		{ErrDamaged, "corrupt"},
		{storage.ErrCorrupt, "corrupt"},
		{storage.ErrPrecondition, "changed"},
		{storage.ErrNoBucket, "no_bucket"},
		{storage.ErrUnavailable, "unavailable"},
		{context.DeadlineExceeded, "timeout"},
		{errors.New("new"), "other"},
		{nil, "other"},
	} {
		if got := KindOf(fmt.Errorf("copying: %w", tc.err)); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.err, got, tc.want)
		}
	}
}

// What will hardly change by itself is tried less often, a lost race more often, and nothing
// less often than the longest delay.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tc := range []struct {
		err      error
		attempts int
		want     time.Duration
	}{
		{storage.ErrUnavailable, 1, time.Second},
		{storage.ErrUnavailable, 4, 8 * time.Second},
		{storage.ErrUnavailable, 1000, time.Minute},
		{storage.ErrPrecondition, 1, time.Second / 5},
		{storage.ErrRefused, 1, 6 * time.Second},
		{storage.ErrFull, 1, 6 * time.Second},
	} {
		if got := w.RetryAfter(tc.attempts, tc.err); got < tc.want*8/10 || got > tc.want*12/10 {
			t.Errorf("%v, %d attempts: %v, want about %v", tc.err, tc.attempts, got, tc.want)
		}
	}
}

// Among those that can be asked the last write wins; without one's own cluster and another
// one nothing is decided.
func TestWinner(t *testing.T) {
	t.Parallel()
	at := func(s int64) storage.Version {
		return storage.Version{Object: storage.Object{ETag: fmt.Sprint("e", s), VersionID: fmt.Sprint(s)}, Written: time.Unix(s, 0)}
	}
	seen := func(c string, v storage.Version) *side { return &side{Site: site.Absent(c), now: v} }
	failed := func(c string, err error) *side { return &side{Site: site.Absent(c), err: err} }
	for _, tc := range []struct {
		name  string
		sides []*side
		want  string
		err   error
	}{
		{"mine is last", []*side{seen("c1", at(1)), seen("c2", at(2))}, "c2", nil},
		{"another is last", []*side{seen("c1", at(3)), seen("c2", at(2)), seen("c3", at(1))}, "c1", nil},
		{"one can't be asked", []*side{seen("c1", at(3)), seen("c2", at(2)), failed("c3", site.ErrDown)}, "c1", nil},
		{"nobody else can be asked", []*side{failed("c1", site.ErrDown), seen("c2", at(2))}, "", site.ErrDown},
		{"mine can't be asked", []*side{seen("c1", at(3)), failed("c2", site.ErrDown)}, "", site.ErrDown},
		{"mine takes no part", []*side{seen("c1", at(3))}, "", ErrNoCopy},
		{"the primary's bucket is missing", []*side{failed("c1", storage.ErrNoBucket), seen("c2", at(2)), seen("c3", at(3))}, "", ErrNoSource},
		{"it changes just now", []*side{failed("c1", storage.ErrPrecondition), seen("c2", at(2)), seen("c3", at(3))}, "", storage.ErrPrecondition},
	} {
		m := &convergence{Task: Task{Object: inC2}, primary: "c1"}
		err := m.judge(tc.sides)
		if wantErr(t, tc.name, err, tc.err); err == nil && m.winner.Name() != tc.want {
			t.Errorf("%s: %s wins, want %s", tc.name, m.winner.Name(), tc.want)
		}
	}
}

// A damage is that of one version: what was written since is another object.
func TestDamages(t *testing.T) {
	t.Parallel()
	d, o := NewDamages(time.Now), storage.Object{ETag: "e", VersionID: "v", LastModified: time.Unix(5, 7)}
	d.Note(inC2, o)
	other, rounded := o, o
	other.ETag, rounded.LastModified = "f", time.Unix(5, 0)
	if !d.Is(inC2, o) || !d.Is(inC2, rounded) || d.Is(inC2, other) {
		t.Error("another version is damaged, or this one is not")
	}
	if d.Drop(inC2); d.Is(inC2, o) {
		t.Error("it is damaged after it was written again")
	}
}
