package replication

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// versions returns the contents of all of a key's versions that are no delete markers.
func (w *world) versions(cluster, bucket, key string) []string {
	w.Helper()
	var bodies []string
	for o := range w.apis[cluster].ListObjects(context.Background(), w.prefix+bucket, minio.ListObjectsOptions{Prefix: key, WithVersions: true, Recursive: true}) {
		w.must(o.Err)
		if o.Key != key || o.IsDeleteMarker {
			continue
		}
		r, err := w.apis[cluster].GetObject(context.Background(), w.prefix+bucket, key, minio.GetObjectOptions{VersionID: o.VersionID})
		w.must(err)
		body, err := io.ReadAll(r)
		w.must(err)
		r.Close()
		bodies = append(bodies, string(body))
	}
	return bodies
}

func (w *world) enableVersioning(cluster, bucket string) {
	w.Helper()
	w.must(w.apis[cluster].EnableVersioning(context.Background(), w.prefix+bucket))
}

// conflicted makes a bucket whose copy in c2 differs under "differs" and has "extra", both
// someone else's; versioned says whose buckets keep versions.
func conflicted(t *testing.T, versioned ...string) *world {
	t.Helper()
	w := newWorld(t, Settings{}, movable)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	for _, c := range []string{"c1", "c2"} {
		w.makeBucket(c, "bkt")
	}
	for _, c := range versioned {
		w.enableVersioning(c, "bkt")
	}
	for _, c := range []string{"c1", "c2"} {
		w.put(c, "bkt", "differs", "in "+c)
		awaitNextSeconds(0)
	}
	w.put("c2", "bkt", "extra", "only in c2")
	awaitNextSeconds(1)
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.await("conflicts", func() bool {
		row, _ := w.copyRow("bkt", "", "c2")
		return row.State == catalog.CopySynced && w.status("bkt").Conflicts == 2
	})
	w.feedsLive("c1", "c2")
	return w
}

func (w *world) resolve(v Verdict) Resolution {
	w.Helper()
	res, err := w.eng.Decisions().Resolve(context.Background(), "bkt", v)
	w.must(err)
	return res
}

// Where the loser would be lost nothing changes, until people say that it may.
func TestResolveRefusesToDestroy(t *testing.T) {
	t.Parallel()
	w := conflicted(t) // no versions anywhere
	for _, winner := range []string{"c1", "c2"} {
		res := w.resolve(Verdict{Key: "differs", Winner: winner})
		if res.Resolved != 0 || res.RefusedTotal != 1 || !res.Refused[0].Lossy ||
			!strings.Contains(res.Refused[0].Reason, "switched off") {
			t.Fatalf("winner %s: %+v", winner, res)
		}
	}
	for c, want := range map[string]string{"c1": "in c1", "c2": "in c2"} {
		if got, _ := w.get(c, "bkt", "differs"); got != want {
			t.Errorf("%s has %q after a refusal", c, got)
		}
	}
	if res := w.resolve(Verdict{Winner: "c1"}); res.Resolved != 0 || res.RefusedTotal != 2 {
		t.Fatalf("both keys lose something: %+v", res)
	}
	if n := len(w.conflicts("bkt", "c2")); n != 2 {
		t.Fatalf("%d conflicts after refusals", n)
	}

	// Taking the copy's extra object over destroys nothing.
	if res := w.resolve(Verdict{Key: "extra", Winner: "c2"}); res.Resolved != 1 {
		t.Fatalf("%+v", res)
	}
	if res := w.resolve(Verdict{Winner: "c1", Discard: true}); res.Resolved != 1 || res.RefusedTotal != 0 {
		t.Fatalf("%+v", res)
	}
	w.awaitOK("bkt", "c1", "c2")
	w.awaitSame("bkt", "c1", "c2")
	for key, want := range map[string]string{"differs": "in c1", "extra": "only in c2"} {
		if got, _ := w.get("c2", "bkt", key); got != want {
			t.Errorf("c2 has %s = %q, want %q", key, got, want)
		}
	}

	// What was resolved follows the primary from then on.
	for _, key := range []string{"differs", "extra"} {
		w.put("c1", "bkt", key, "newer")
		w.await(key+" follows", func() bool { got, _ := w.get("c2", "bkt", key); return got == "newer" })
	}
}

// With versions the loser stays as a noncurrent one, whichever side loses.
func TestResolveKeepsTheLoser(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ winner, differs, extra string }{
		{"c1", "in c1", ""},
		{"c2", "in c2", "only in c2"},
		{WinnerNewest, "in c2", "only in c2"},
	} {
		t.Run(tc.winner, func(t *testing.T) {
			t.Parallel()
			w := conflicted(t, "c1", "c2")
			if res := w.resolve(Verdict{Winner: tc.winner}); res.Resolved != 2 || res.RefusedTotal != 0 {
				t.Fatalf("%+v", res)
			}
			w.awaitOK("bkt", "c1", "c2")
			for _, c := range []string{"c1", "c2"} {
				if got, _ := w.get(c, "bkt", "differs"); got != tc.differs {
					t.Errorf("%s has differs = %q, want %q", c, got, tc.differs)
				}
				if got, ok := w.get(c, "bkt", "extra"); got != tc.extra || ok != (tc.extra != "") {
					t.Errorf("%s has extra = %q, want %q", c, got, tc.extra)
				}
			}
			// Every object that was there can still be read somewhere.
			all := strings.Join(append(w.versions("c1", "bkt", "differs"), w.versions("c2", "bkt", "differs")...), ",")
			for _, body := range []string{"in c1", "in c2"} {
				if !strings.Contains(all, body) {
					t.Errorf("%q is gone: versions %s", body, all)
				}
			}
			if got := w.versions("c2", "bkt", "extra"); len(got) == 0 || got[0] != "only in c2" {
				t.Errorf("c2's extra object is gone: %v", got)
			}
			// The marks make the copy FaDO's: it follows once the memory of what was
			// copied a moment ago is lost.
			w.later(10 * time.Minute)
			w.put("c1", "bkt", "differs", "newer")
			w.await("differs follows", func() bool { got, _ := w.get("c2", "bkt", "differs"); return got == "newer" })
			if n := w.status("bkt").Conflicts; n != 0 {
				t.Errorf("%d conflicts", n)
			}
		})
	}
}

// What was written after the resolution looked is not destroyed, and stays a conflict.
func TestResolveLosesTheRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	c1.User("bkt", "k", "at c1")
	c2.User("bkt", "k", "at c2")
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.await("conflict", func() bool { return w.status("bkt").Conflicts == 1 })
	wrote := false
	c2.SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "put" && !wrote {
			wrote = true
			c2.User("bkt", "k", "written meanwhile")
		}
		return nil
	})
	res := w.resolve(Verdict{Key: "k", Winner: "c1", Discard: true})
	if res.Resolved != 0 || res.RefusedTotal != 1 {
		t.Fatalf("%+v", res)
	}
	if got := c2.Contents("bkt")["k"]; got != "written meanwhile" {
		t.Fatalf("c2 has %q", got)
	}
	if rows := w.pending(state.PendingFilter{}); len(rows) != 1 || rows[0].Foreign == "" {
		t.Fatalf("rows %+v", rows)
	}
	c2.SetFault(nil)
	if res := w.resolve(Verdict{Key: "k", Winner: "c1", Discard: true}); res.Resolved != 1 {
		t.Fatalf("%+v", res)
	}
	if got := c2.Contents("bkt")["k"]; got != "at c1" {
		t.Fatalf("c2 has %q", got)
	}
}

// A conflict that is tried again, because its key changed, is one that people can resolve.
func TestResolveWhatIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	c1.User("bkt", "k", "ours")
	c2.User("bkt", "k", "theirs")
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.feedsLive("c1", "c2")
	w.await("the conflict", func() bool { return w.status("bkt").Conflicts == 1 })
	refusing := func(_ context.Context, op, _, key string) error {
		if op == "stat" && key == "k" {
			return storage.ErrRefused
		}
		return nil
	}
	c2.SetFault(refusing)
	c1.User("bkt", "k", "ours, later")
	w.await("the failed attempt", func() bool {
		rows := w.pending(state.PendingFilter{})
		return len(rows) == 1 && rows[0].Attempts > 0
	})
	if res := w.resolve(Verdict{Key: "k", Winner: "c1", Discard: true}); res.RefusedTotal != 1 {
		t.Fatalf("while the storage refuses: %+v", res)
	}
	c2.SetFault(nil)
	if res := w.resolve(Verdict{Key: "k", Winner: "c1", Discard: true}); res.Resolved != 1 {
		t.Fatalf("%+v", res)
	}
	if got := c2.Contents("bkt")["k"]; got != "ours, later" {
		t.Fatalf("c2 has %q", got)
	}
}

// A winner is not taken where policy forbids it, and rubbish is refused.
func TestResolveRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	c1.User("bkt", "k", "same size 1")
	c2.User("bkt", "k", "same size 2")
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.await("conflict", func() bool { return w.status("bkt").Conflicts == 1 })
	ctx := context.Background()
	for _, tc := range []struct {
		bucket string
		v      Verdict
		want   error
	}{
		{"nobody", Verdict{Winner: "c1"}, control.ErrNotFound},
		{"bkt", Verdict{Winner: "c9"}, ErrBadWinner},
		{"bkt", Verdict{Winner: "c1", Key: "other"}, control.ErrNotFound},
	} {
		if _, err := w.eng.Decisions().Resolve(ctx, tc.bucket, tc.v); !errors.Is(err, tc.want) {
			t.Errorf("%+v: %v", tc, err)
		}
	}
	c2.SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "stat" {
			return context.DeadlineExceeded
		}
		return nil
	})
	if res := w.resolve(Verdict{Winner: "c1", Discard: true}); res.RefusedTotal != 1 || res.Resolved != 0 {
		t.Errorf("a storage that can't be asked: %+v", res)
	}
	c2.SetFault(nil)
	if res := w.resolve(Verdict{Winner: WinnerNewest, Discard: true}); res.Resolved != 1 {
		t.Errorf("%+v", res)
	}
	if at := c1.Contents("bkt")["k"]; at != c2.Contents("bkt")["k"] {
		t.Errorf("c1 %q, c2 %q", at, c2.Contents("bkt")["k"])
	}
}

// A copy's object that won is FaDO's to replace from then on, though it was written there
// after the copy had been compared: it carries the mark, with versions and without.
func TestResolvedWinnerFollows(t *testing.T) {
	t.Parallel()
	for name, versioned := range map[string][]string{"versions": {"c1", "c2"}, "no versions": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := conflicted(t, versioned...)
			w.put("c2", "bkt", "late", "written at c2")
			w.await("the late write is a conflict", func() bool { return w.conflicts("bkt", "c2")["late"] })
			if res := w.resolve(Verdict{Key: "late", Winner: "c2"}); res.Resolved != 1 {
				t.Fatalf("%+v", res)
			}
			// FaDO's memory of what it copied a moment ago does not last.
			w.later(10 * time.Minute)
			w.put("c1", "bkt", "late", "newer, at c1")
			w.await("it follows", func() bool { got, _ := w.get("c2", "bkt", "late"); return got == "newer, at c1" })
		})
	}
}
