package walk

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/storage"
)

// keeping is a world whose bucket keeps versions with IDs and times in all storages.
func keeping(tb testing.TB) *world {
	tb.Helper()
	w := newWorld(tb)
	w.KeepTimes()
	return w
}

// lacking returns what a cluster lacks of another's history.
func (w *world) lacking(cluster, of string) (missing []string) {
	w.Helper()
	for h, err := range w.Fakes[of].Reader().Histories(w.Context(), bkt, "") {
		w.Must(err)
		there := w.History(cluster, h.Key)
		for i, v := range h.Versions {
			if i == 0 && !v.Deleted && len(there) > 0 && there[0].ETag == v.ETag {
				continue // what is shown counts by its content: it may have come back, over a marker
			}
			if !slices.ContainsFunc(there, func(t storage.Version) bool {
				return t.Deleted == v.Deleted && t.VersionID == v.VersionID && t.ETag == v.ETag && t.LastModified.Equal(v.LastModified)
			}) {
				missing = append(missing, h.Key+" "+v.VersionID)
			}
		}
	}
	return missing
}

func (w *world) wantHistory() {
	w.Helper()
	if missing := w.lacking("c2", "c1"); len(missing) > 0 {
		w.Fatalf("the copy lacks %q", missing)
	}
}

// A first sync brings what was there before, delete markers and what they hide included.
func TestSyncBringsHistory(t *testing.T) {
	t.Parallel()
	w := keeping(t)
	c1 := w.Fakes["c1"]
	for _, body := range []string{"1", "2", "3"} {
		c1.User(bkt, "a", body)
		c1.User(bkt, "gone", body)
		c1.UserDelete(bkt, "gone")
	}
	w.synced("b")
	w.wantHistory()
	w.WantSame("c1", "c2")
	w.WantBodies("c2", "a", "3", "2", "1")
	w.WantBodies("c2", "gone", "", "3", "", "2", "", "1")
	if len(w.Pending()) > 0 {
		t.Errorf("pending: %v", w.Pending())
	}
}

// Two overwrites between two events both arrive, and a delete is the primary's own marker.
func TestSettleBringsHistory(t *testing.T) {
	t.Parallel()
	w := keeping(t)
	w.synced("a", "b")
	settle := func(key string) {
		t.Helper()
		_, err := w.Objects.Settle(t.Context(), object.Task{Object: ids.ObjectIn(bkt, key, "c2"), Size: -1})
		w.Must(err)
	}
	w.Fakes["c1"].User(bkt, "a", "second")
	w.Fakes["c1"].User(bkt, "a", "third")
	settle("a")
	w.WantBodies("c2", "a", "third", "second", "body of a")
	w.Fakes["c1"].User(bkt, "b", "second")
	w.Fakes["c1"].UserDelete(bkt, "b")
	settle("b")
	w.WantBodies("c2", "b", "", "second", "body of b")
	w.wantHistory()
	w.Fakes["c1"].UserDelete(bkt, "a")
	w.Fakes["c1"].User(bkt, "a", "fourth")
	settle("a")
	w.WantBodies("c2", "a", "fourth", "", "third", "second", "body of a")
	w.wantHistory()
}

// A scan finds versions that the copy lacks although their keys are in step; once, and for
// versions current never.
func TestScanBringsHistory(t *testing.T) {
	t.Parallel()
	w := keeping(t)
	w.Apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}, Versions: catalog.VersionsCurrent})
	w.Fakes["c1"].User(bkt, "a", "first")
	w.synced("a")
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	w.WantBodies("c2", "a", "body of a")
	w.Apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}})
	wrote := len(w.Fakes["c2"].Writes())
	for range 2 {
		w.Must(w.Scanner.Scan(t.Context(), at("c2")))
		w.WantBodies("c2", "a", "body of a", "first")
	}
	if now := w.Fakes["c2"].Writes()[wrote:]; len(now) != 1 {
		t.Errorf("it wrote %q, want the one version", now)
	}
	w.Apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}, Versions: catalog.VersionsCurrent})
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	w.WantBodies("c2", "a", "body of a", "first")
}

// A verification tells what is missing, and leaves it to the workers.
func TestVerificationCountsHistory(t *testing.T) {
	t.Parallel()
	w := keeping(t)
	w.synced("a")
	w.Fakes["c1"].User(bkt, "a", "second")
	w.Fakes["c1"].User(bkt, "a", "third")
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	w.Settle()
	w.Fakes["c2"].RemoveVersion(bkt, "a", w.History("c2", "a")[1].VersionID)
	wrote := len(w.Fakes["c2"].Writes())
	var seen watched
	w.Must(w.Scanner.ScanWatched(t.Context(), at("c2"), false, &seen))
	if !slices.Equal(seen.differs, []string{"c2/a lacks 1"}) || len(w.Fakes["c2"].Writes()) != wrote {
		t.Errorf("it tells %q, and wrote %q", seen.differs, w.Fakes["c2"].Writes()[wrote:])
	}
	w.WantKeys(w.Pending(), "c2/a")
	w.Settle()
	w.wantHistory()
}

// A bucket without versions, or with a side that keeps no times, is not asked for any.
func TestNoHistoryIsNotListed(t *testing.T) {
	t.Parallel()
	for name, versions := range map[string]bool{"unversioned": false, "without times": true} {
		w := newWorld(t)
		if versions {
			w.Fakes["c1"].KeepVersions(bkt)
			w.Fakes["c2"].KeepVersions(bkt)
			w.Fakes["c1"].KeepTimes()
		} else {
			w.Fakes["c1"].KeepTimes()
			w.Fakes["c2"].KeepTimes()
		}
		for _, c := range []string{"c1", "c2"} {
			w.Fakes[c].SetFault(func(_ context.Context, op, _, _ string) error {
				if op == "history" || op == "histories" {
					t.Errorf("%s: %s was asked for in %s", name, op, c)
				}
				return nil
			})
		}
		w.synced("a")
		w.Fakes["c1"].User(bkt, "a", "second")
		w.Must(w.Scanner.Scan(t.Context(), at("c2")))
		w.Settle()
		w.WantSame("c1", "c2")
	}
}

// A version that can't be copied is named as lost, and keeps nothing else from being settled; a
// primary does not move then.
func TestLostHistoryIsNamed(t *testing.T) {
	t.Parallel()
	w := keeping(t)
	w.Fakes["c1"].User(bkt, "a", "first")
	w.synced("a", "b")
	w.Fakes["c1"].User(bkt, "a", "second")
	w.Fakes["c1"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "get" {
			return fmt.Errorf("GetObjectVersion: %w", storage.ErrDenied)
		}
		return nil
	})
	w.Fakes["c1"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "histories" || op == "history" {
			return fmt.Errorf("ListBucketVersions: %w", storage.ErrDenied)
		}
		return nil
	})
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	w.Settle()
	w.WantSame("c1", "c2")
	w.WantErr(w.Historian.BringAll(t.Context(), at("c2")), storage.ErrDenied)
}

// Of a long history a change brings what is new, whatever is missing far below, which a scan brings.
func TestLongHistory(t *testing.T) {
	t.Parallel()
	w := keeping(t)
	const old = 250
	for i := range old {
		w.Fakes["c1"].User(bkt, "a", fmt.Sprint(i))
	}
	w.Apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}, Versions: catalog.VersionsCurrent})
	w.synced()
	w.Apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}})
	for i := range 150 {
		w.Fakes["c1"].User(bkt, "a", fmt.Sprint("new ", i))
		if i%10 == 9 {
			_, err := w.Objects.Settle(t.Context(), object.Task{Object: ids.ObjectIn(bkt, "a", "c2"), Size: -1})
			w.Must(err)
		}
	}
	if got := len(w.Fakes["c2"].Bodies(bkt, "a")); got < 150 || got >= 250 {
		t.Errorf("%d versions after the changes", got)
	}
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	w.wantHistory()
}

// versionsWalked is a bucket with history that users change at the primary.
type versionsWalked struct{ *world }

func (w *versionsWalked) step(rt *rapid.T, i int) {
	c1, c2 := w.Fakes["c1"], w.Fakes["c2"]
	key := rapid.SampledFrom([]string{"a", "a/b", "b"}).Draw(rt, "key")
	switch rapid.SampledFrom([]string{"write", "write", "delete", "remove a version", "lose a version", "scan", "settle", "history"}).Draw(rt, "step") {
	case "write":
		c1.User(bkt, key, fmt.Sprint("body ", i))
	case "delete":
		c1.UserDelete(bkt, key)
	case "remove a version":
		if vs := w.History("c1", key); len(vs) > 0 {
			c1.RemoveVersion(bkt, key, rapid.SampledFrom(vs).Draw(rt, "version").VersionID)
		}
	case "lose a version":
		if vs := w.History("c2", key); len(vs) > 1 {
			c2.RemoveVersion(bkt, key, rapid.SampledFrom(vs[1:]).Draw(rt, "version").VersionID)
		}
	case "scan":
		w.Must(w.Scanner.Scan(w.Context(), at("c2")))
	case "settle":
		w.Settle()
	case "history":
		shown := c2.Contents(bkt)
		w.Must(w.Historian.Bring(w.Context(), at("c2")))
		if now := c2.Contents(bkt); !maps.Equal(now, shown) {
			rt.Fatalf("bringing history changed what is shown: %q, before %q", now, shown)
		}
	}
}

// Whatever users do at the primary, and whenever walks and workers go over it: in the end the copy
// shows what the primary shows, has every version and delete marker that the primary has, and
// nothing is written any more. What bringing history changes nobody sees.
func TestHistoryConverges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := &versionsWalked{keeping(t)}
		for i := range rapid.IntRange(0, 6).Draw(rt, "steps before") {
			w.Fakes["c1"].User(bkt, "a", fmt.Sprint("before ", i))
			if rapid.Bool().Draw(rt, "deleted") {
				w.Fakes["c1"].UserDelete(bkt, "a")
			}
		}
		w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
		w.Must(w.Syncer.Sync(w.Context(), at("c2")))
		for i := range rapid.IntRange(0, 12).Draw(rt, "steps") {
			w.step(rt, i)
		}
		for range 2 {
			w.Must(w.Scanner.Scan(w.Context(), at("c2")))
			w.Settle()
		}
		if c1, c2 := w.Fakes["c1"].Contents(bkt), w.Fakes["c2"].Contents(bkt); !maps.Equal(c1, c2) {
			rt.Fatalf("the copy shows %q, the primary %q", c2, c1)
		}
		if missing := w.lacking("c2", "c1"); len(missing) > 0 {
			rt.Fatalf("the copy lacks %q", missing)
		}
		wrote := len(w.Fakes["c2"].Writes())
		w.Must(w.Scanner.Scan(w.Context(), at("c2")))
		w.Settle()
		if now := w.Fakes["c2"].Writes()[wrote:]; len(now) > 0 {
			rt.Fatalf("it goes on to write %q", now)
		}
	})
}
