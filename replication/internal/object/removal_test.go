package object

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// inPass calls f with a pass for the object k in c2, and its sides.
func (w *world) inPass(f func(ctx context.Context, p *guard.Pass, at Sides) error) error {
	w.Helper()
	at := Sides{Src: w.o.Sites.Get("c1"), Dst: w.o.Sites.Get("c2")}
	return w.o.Guard.Do(w.Context(), guard.Op{Object: inC2, From: "c1"}, func(ctx context.Context, p *guard.Pass) error {
		return f(ctx, p, at)
	})
}

// versions has the bucket keep versions in some clusters.
func (w *world) versions(clusters ...string) {
	for _, c := range clusters {
		w.fakes[c].KeepVersions(bkt)
	}
}

func (w *world) settled() {
	w.Helper()
	if _, err := w.Settle(w.Context(), Task{Object: inC2}); err != nil {
		w.Fatal(err)
	}
}

// What goes for good is what FaDO can be told to have written; what a user wrote stays, at
// most below a delete marker.
func TestRemoveForGood(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		prepare  func(w *world)
		plain    bool // the bucket in c2 keeps no versions
		recorded bool // the store has on record that FaDO wrote what is seen
		noSource bool // the primary can't be asked
		covered  bool
		want     []string // the versions left in c2, newest first; "" is a delete marker
		err      error
	}{
		"FaDO's alone": {prepare: func(w *world) {
			w.fakes["c1"].User(bkt, "k", "one")
			w.settled()
		}},
		"FaDO's, twice": {prepare: func(w *world) {
			w.fakes["c1"].User(bkt, "k", "one")
			w.settled()
			w.fakes["c1"].User(bkt, "k", "two")
			w.settled()
		}},
		"a user's on top": {prepare: func(w *world) {
			w.fakes["c1"].User(bkt, "k", "one")
			w.settled()
			w.fakes["c2"].User(bkt, "k", "a user's")
		}, covered: true, want: []string{"", "a user's"}},
		"a user's below": {prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "a user's")
			w.fakes["c1"].User(bkt, "k", "one")
			w.settled()
		}, covered: true, want: []string{"", "a user's"}},
		"a user's below, and the primary has lost FaDO's": {prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "a user's")
			w.fakes["c1"].User(bkt, "k", "one")
			w.settled()
			w.versions("c1")
		}, covered: true, want: []string{"", "one", "a user's"}},
		"a user's below, and the primary can't be asked": {prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "a user's")
			w.fakes["c1"].User(bkt, "k", "one")
			w.settled()
		}, noSource: true, covered: true, want: []string{"", "one", "a user's"}},
		"a user's, on record as FaDO's": {prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "one")
		}, recorded: true},
		"it went meanwhile": {prepare: func(w *world) {}},
		"the versions can't be listed": {prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "one")
			w.fail("c2", "versions", storage.ErrUnavailable)
		}, want: []string{"one"}, err: storage.ErrUnavailable},
		"the primary's versions can't be listed": {prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "a user's")
			w.fail("c1", "versions", storage.ErrUnavailable)
		}, want: []string{"a user's"}, err: storage.ErrUnavailable},
		"a bucket without versions": {plain: true, prepare: func(w *world) { w.fakes["c2"].User(bkt, "k", "one") }},
	} {
		w := newWorld(t)
		w.versions("c1")
		if !tc.plain {
			w.versions("c2")
		}
		tc.prepare(w)
		seen, _ := w.fakes["c2"].Reader().Stat(t.Context(), bkt, "k")
		var covered bool
		err := w.inPass(func(ctx context.Context, p *guard.Pass, at Sides) (err error) {
			if tc.noSource {
				at.Src = nil
			}
			covered, err = w.Removals.ForGood(ctx, p, Removal{At: at, Seen: seen, Versioned: !tc.plain, Recorded: tc.recorded})
			return err
		})
		if wantErr(t, name, err, tc.err); covered != tc.covered {
			t.Errorf("%s: covered %v, want %v", name, covered, tc.covered)
		}
		if got := w.fakes["c2"].Bodies(bkt, "k"); !slices.Equal(got, tc.want) {
			t.Errorf("%s: left %q, want %q", name, got, tc.want)
		}
		if _, there := w.fakes["c2"].Contents(bkt)["k"]; err == nil && there {
			t.Errorf("%s: it is still there", name)
		}
	}
}

// null returns the content of the null version of the key k.
func (w *world) null(cluster string) (body string, there bool) {
	vs, err := w.fakes[cluster].Reader().Versions(context.Background(), bkt, "k")
	if err != nil {
		w.Fatal(err)
	}
	i := slices.IndexFunc(vs, func(v storage.Version) bool { return v.VersionID == "null" })
	if i < 0 || vs[i].Deleted {
		return "", false
	}
	return w.fakes[cluster].Bodies(bkt, "k")[i], true
}

// Whatever users and FaDO wrote in whatever order: no version of a user's ever goes for good,
// and what is removed for good shows nothing.
func TestRemoveForGoodKeepsUsersVersions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		w.versions("c1", "c2")
		var users []string
		suspended := false
		for i, step := range rapid.SliceOfN(rapid.SampledFrom([]string{"copy", "user", "delete", "copied back", "suspend"}), 1, 8).Draw(rt, "steps") {
			body := fmt.Sprint(step, " ", i)
			if null, there := w.null("c2"); there && suspended && step != "suspend" {
				users = slices.DeleteFunc(users, func(u string) bool { return u == null }) // it is written over: to here the copy is FaDO's
			}
			switch step {
			case "suspend":
				suspended = !suspended
				w.fakes["c2"].Suspend(bkt, suspended)
			case "copy":
				w.fakes["c1"].User(bkt, "k", body)
				_, _ = w.Settle(t.Context(), Task{Object: inC2}) // a conflict with a user's is none of this test's
			case "user":
				w.fakes["c2"].User(bkt, "k", body)
				users = append(users, body)
			case "delete":
				w.fakes["c2"].UserDelete(bkt, "k")
			case "copied back":
				if old := w.fakes["c2"].Bodies(bkt, "k"); len(old) > 0 {
					w.fakes["c2"].CopyVersion(bkt, "k")
					users = append(users, old[len(old)-1])
				}
			}
		}
		seen, err := w.fakes["c2"].Reader().Stat(t.Context(), bkt, "k")
		if null, there := w.null("c2"); there && suspended && w.fakes["c2"].Contents(bkt)["k"] == null {
			users = slices.DeleteFunc(users, func(u string) bool { return u == null }) // it is what is to go
		}
		stays := false
		err = w.inPass(func(ctx context.Context, p *guard.Pass, at Sides) error {
			if err != nil {
				_, err := w.Removals.Hidden(ctx, p, at)
				return err
			}
			_, err := w.Removals.ForGood(ctx, p, Removal{At: at, Seen: seen, Versioned: true})
			if errors.Is(err, ErrBelow) && suspended {
				stays, err = true, nil
			}
			return err
		})
		if err != nil {
			rt.Fatal(err)
		}
		left := w.fakes["c2"].Bodies(bkt, "k")
		for _, body := range users {
			i := slices.Index(left, body)
			if i < 0 && body != "" {
				rt.Fatalf("%q, which a user wrote, is gone for good; left: %q", body, left)
			}
		}
		if _, there := w.fakes["c2"].Contents(bkt)["k"]; there && !stays {
			rt.Fatal("it is still there")
		}
	})
}

// Versions at two storages are one if their content is, and their ID, or their time where the
// IDs can't tell.
func TestSameVersion(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
	version := func(f func(*storage.Version)) storage.Version {
		v := storage.Version{Object: storage.Object{Key: "k", ETag: "e", Size: 3, VersionID: "i", LastModified: at}}
		f(&v)
		return v
	}
	base := version(func(*storage.Version) {})
	for name, tc := range map[string]struct {
		other storage.Version
		want  bool
	}{
		"itself":                    {base, true},
		"another time, the same ID": {version(func(v *storage.Version) { v.LastModified = at.Add(time.Hour) }), true},
		"another ID, the same time": {version(func(v *storage.Version) { v.VersionID, v.LastModified = "j", at.Add(time.Microsecond) }), true},
		"another ID and time":       {version(func(v *storage.Version) { v.VersionID, v.LastModified = "j", at.Add(time.Millisecond) }), false},
		"no ID, another time":       {version(func(v *storage.Version) { v.VersionID, v.LastModified = "null", at.Add(time.Second) }), false},
		"another content":           {version(func(v *storage.Version) { v.ETag = "f" }), false},
		"another size":              {version(func(v *storage.Version) { v.Size = 4 }), false},
		"a delete marker":           {version(func(v *storage.Version) { v.Deleted = true }), false},
	} {
		if got := sameVersion(tc.other, base); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	null := version(func(v *storage.Version) { v.VersionID = "null" })
	later := version(func(v *storage.Version) { v.VersionID, v.LastModified = "null", at.Add(time.Hour) })
	if sameVersion(null, later) {
		t.Error("null versions of two buckets are taken for one by their ID")
	}
}

// An object of a walk is tried again while its storage is unavailable for a moment, and not
// when trying can't help.
func TestPersist(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		errs  []error
		tries int
		want  error
	}{
		"at once":            {errs: []error{nil}, tries: 1},
		"at the third":       {errs: []error{storage.ErrUnavailable, fmt.Errorf("GET: %w", storage.ErrUnavailable), nil}, tries: 3},
		"never":              {errs: []error{storage.ErrUnavailable, storage.ErrUnavailable, storage.ErrUnavailable, nil}, tries: 3, want: storage.ErrUnavailable},
		"denied":             {errs: []error{storage.ErrDenied, nil}, tries: 1, want: storage.ErrDenied},
		"a storage down":     {errs: []error{fmt.Errorf("%w: %w", site.ErrDown, storage.ErrUnavailable), nil}, tries: 1, want: site.ErrDown},
		"denied at a second": {errs: []error{storage.ErrUnavailable, storage.ErrDenied, nil}, tries: 2, want: storage.ErrDenied},
	} {
		w := newWorld(t)
		w.o.Timing.RetryBase, w.o.Timing.RetryMax = time.Microsecond, time.Microsecond
		tries := 0
		err := w.Persist(t.Context(), func() error {
			tries++
			return tc.errs[tries-1]
		})
		if wantErr(t, name, err, tc.want); tries != tc.tries {
			t.Errorf("%s: tried %d times, want %d", name, tries, tc.tries)
		}
	}
	w := newWorld(t)
	w.o.Timing.RetryBase, w.o.Timing.RetryMax = time.Hour, time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	err := w.Persist(ctx, func() error {
		cancel()
		return storage.ErrUnavailable
	})
	wantErr(t, "while it waits", err, storage.ErrUnavailable)
}

// However users write and delete at both ends: settling never changes the primary, and either
// brings the copy in step or leaves it exactly as it is, with a reason.
func TestSettleNeverLosesForeignObjects(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		compared := rapid.Bool().Draw(rt, "compared")
		w.rows(func(c *state.Copy) {
			c.OwnedUntil = time.Time{}
			if !compared {
				c.VerifiedAt = time.Time{}
			}
		})
		foreign := "" // what a user put into the copy, while it is there
		for i, step := range rapid.SliceOfN(rapid.SampledFrom([]string{"write", "delete", "foreign write", "foreign delete", "settle", "settle"}), 1, 8).Draw(rt, "steps") {
			c1, c2 := w.fakes["c1"], w.fakes["c2"]
			switch step {
			case "write":
				c1.User(bkt, "k", fmt.Sprint("body ", i))
			case "delete":
				c1.UserDelete(bkt, "k")
			case "foreign write":
				foreign = fmt.Sprint("foreign ", i)
				c2.User(bkt, "k", foreign)
			case "foreign delete":
				foreign = ""
				c2.UserDelete(bkt, "k")
			case "settle":
				settleOneStep(rt, w, c1, c2, &foreign)
			}
		}
	})
}

func settleOneStep(rt *rapid.T, w *world, c1, c2 *fakestorage.Storage, foreign *string) {
	source, before := c1.Contents(bkt)["k"], c2.Contents(bkt)["k"]
	v, err := w.Settle(w.Context(), Task{Object: inC2})
	after := c2.Contents(bkt)["k"]
	switch {
	case c1.Contents(bkt)["k"] != source:
		rt.Fatal("the primary was changed")
	case *foreign != "" && after != *foreign:
		rt.Fatalf("%q, which a user wrote, became %q: %v, %v", *foreign, after, v, err)
	case err != nil && (!errors.Is(err, ErrConflict) || after != before):
		rt.Fatalf("error %v; the copy had %q and has %q", err, before, after)
	case err == nil && after != source:
		rt.Fatalf("outcome %d, and the copy has %q, the primary %q", v, after, source)
	}
}
