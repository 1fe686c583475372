package replication

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// kinds are the real servers that identities are told of; only MinIO says for good when a
// bucket was made.
var kinds = []struct {
	name    string
	a, b, c testenv.Shared
	births  bool
}{
	{"MinIO", minioA, minioB, minioC, true},
	{"versitygw", versA, versB, minioC, false},
}

// byAnotherName is a server's endpoint under another host name.
func byAnotherName(tb testing.TB, srv *testenv.Server) string {
	tb.Helper()
	other := strings.Replace(srv.Endpoint, "127.0.0.1", "localhost", 1)
	if other == srv.Endpoint {
		tb.Fatalf("%s has no other name", srv.Endpoint)
	}
	return other
}

// fillFrom writes n objects to a bucket that it makes.
func (w *world) fillFrom(cluster, bucket string, n int) {
	w.Helper()
	w.makeBucket(cluster, bucket)
	for i := range n {
		w.put(cluster, bucket, fmt.Sprintf("k%02d", i), fmt.Sprint("as in ", cluster, " ", i))
	}
}

// empty removes a bucket with all its objects, and their versions, as a user would.
func (w *world) empty(cluster, bucket string) {
	w.Helper()
	ctx := context.Background()
	for o := range w.apis[cluster].ListObjects(ctx, w.prefix+bucket, minio.ListObjectsOptions{Recursive: true}) {
		w.must(o.Err)
		w.must(w.apis[cluster].RemoveObject(ctx, w.prefix+bucket, o.Key, minio.RemoveObjectOptions{}))
	}
	w.must(w.apis[cluster].RemoveBucket(ctx, w.prefix+bucket))
}

// forceSynced makes the row of a copy what a version that did not know of identities would
// have made it.
func (w *world) forceSynced(bucket, cluster string) {
	w.Helper()
	w.must(w.ctl.Copies.Update(context.Background(), bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			if rows[i].Cluster == cluster {
				rows[i].State, rows[i].VerifiedAt, rows[i].OwnedUntil, rows[i].Error = catalog.CopySynced, w.eng.core.now(), w.eng.core.now(), ""
				rows[i].At = 0
			}
		}
		return rows, nil
	}))
}

// One storage under two names is never taken for two: not for a new copy, and not when a copy
// that was made before leaves or is purged. No mark stays behind.
func TestOneStorageUnderTwoNames(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Settings{}, nil)
			srv := k.a.Server(t)
			w.cluster("c1", srv)
			w.clusterAt("c2", srv, byAnotherName(t, srv))
			w.fillFrom("c1", "bkt", 20)
			w.policy("p", 2, "c1", "c2")
			w.bucket("bkt", "p", "c1")
			w.awaitStuck("bkt", "c1", "c2", "two names for one storage")
			if w.ctl.Router().Current("bkt", "k00", "c2") {
				t.Error("a copy that is none is a hit")
			}

			w.forceSynced("bkt", "c2")
			w.policy("p", 1, "c1")
			w.awaitStuck("bkt", "evict", "c1", "c2", "two names for one storage")
			if n := len(w.contents("c1", "bkt")); n != 20 {
				t.Fatalf("%d of 20 objects are left", n)
			}

			w.must(w.eng.Purge(context.Background(), "bkt", PurgeCopies, control.Precondition{}))
			w.await("the purge is over", func() bool { return len(w.purges()) == 0 })
			if n := len(w.contents("c1", "bkt")); n != 20 {
				t.Fatalf("%d of 20 objects are left after a purge of copies", n)
			}
			for up := range w.apis["c1"].ListIncompleteUploads(context.Background(), w.prefix+"bkt", "", true) {
				t.Errorf("a mark stayed: %s %v", up.Key, up.Err)
			}
			w.must(w.store.Uploads().EachUpload(context.Background(), func(u state.Upload) error {
				t.Errorf("a mark is on record: %+v", u)
				return nil
			}))
		})
	}
}

func (w *world) purges() []state.Purge {
	w.Helper()
	all, err := w.store.Purges().Purges(context.Background())
	w.must(err)
	return all
}

// replicated makes a bucket of 20 objects with a copy, and no feed.
func replicated(t *testing.T, a, b testenv.Shared) *world {
	t.Helper()
	w := newWorld(t, Settings{NoEventFeed: true}, nil)
	w.cluster("c1", a.Server(t))
	w.cluster("c2", b.Server(t))
	w.fillFrom("c1", "bkt", 20)
	w.policy("p", 2, "c1", "c2")
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	return w
}

// A primary whose bucket was removed and made again stops the bucket: nothing is removed from
// its copy. People say which side is right.
func TestPrimaryReborn(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		for _, trusted := range []string{"c1", "c2"} {
			t.Run(k.name+" "+trusted, func(t *testing.T) {
				t.Parallel()
				w := replicated(t, k.a, k.b)
				ctx := context.Background()
				if err := w.eng.Decisions().Trust(ctx, "bkt", "c1"); !errors.Is(err, ErrNotStopped) {
					t.Errorf("a word on a bucket that is not stopped: %v", err)
				}
				w.eng.Stop() // no scan sees it half done
				w.empty("c1", "bkt")
				w.makeBucket("c1", "bkt")
				w.eng.Start(Settings{NoEventFeed: true})
				w.must(w.eng.SyncBucket(ctx, "bkt"))
				w.awaitStuck("bkt", "c1", "/trust")
				if n := len(w.contents("c2", "bkt")); n != 20 {
					t.Fatalf("the copy has %d of 20 objects", n)
				}
				r := w.ctl.Router()
				if r.Current("bkt", "k00", "c1") || !r.Current("bkt", "k00", "c2") {
					t.Errorf("hits: primary %v, copy %v; want the copy alone", r.Current("bkt", "k00", "c1"), r.Current("bkt", "k00", "c2"))
				}

				w.reopen()
				w.awaitStuck("bkt", "c1", "/trust")
				w.must(w.eng.Decisions().Trust(ctx, "bkt", trusted))
				w.awaitOK("bkt", "c1", "c2") // a declared primary moves back once it has everything
				w.awaitSame("bkt", "c1", "c2")
				if n, want := len(w.contents("c1", "bkt")), map[string]int{"c1": 0, "c2": 20}[trusted]; n != want {
					t.Errorf("%d objects are left, want %d", n, want)
				}
			})
		}
	}
}

// reopen ends the engine and begins another over the same store.
func (w *world) reopen() {
	w.Helper()
	w.eng.Stop()
	w.eng.Start(Settings{NoEventFeed: true})
}

// redeclare gives a cluster the storage of another server.
func (w *world) redeclare(name string, srv *testenv.Server) { w.clusterAt(name, srv, srv.Endpoint) }

// A copy whose cluster gets another storage is an import there, and no hit from the answer on.
func TestCopyElsewhere(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			w := replicated(t, k.a, k.b)
			w.cluster("c3", k.c.Server(t)) // to write there before
			w.makeBucket("c3", "bkt")
			w.put("c3", "bkt", "k00", "another content")
			w.put("c3", "bkt", "precious", "someone's")
			awaitNextSeconds(1)
			w.must(w.ctl.Copies.Update(context.Background(), "bkt", func(rows []state.Copy) ([]state.Copy, error) {
				for i := range rows { // all there is at the new place is older
					rows[i].OwnedUntil = w.eng.core.now()
				}
				return rows, nil
			}))
			w.must(w.ctl.Resources.Delete(context.Background(), catalog.KindCluster, "c3", control.Precondition{}))
			w.redeclare("c2", k.c.Server(t))
			if w.ctl.Router().Current("bkt", "k01", "c2") {
				t.Error("a storage that was not compared is a hit")
			}
			w.await("conflicts", func() bool {
				row, _ := w.copyRow("bkt", "", "c2")
				return row.State == catalog.CopySynced && w.status("bkt").Conflicts == 2
			})
			for key, want := range map[string]string{"k00": "another content", "precious": "someone's", "k01": "as in c1 1"} {
				if got, _ := w.get("c2", "bkt", key); got != want {
					t.Errorf("%s = %q, want %q", key, got, want)
				}
			}
			if r := w.ctl.Router(); !r.Current("bkt", "k01", "c2") || r.Current("bkt", "k00", "c2") {
				t.Error("after the comparison, equal objects are no hits or conflicts are")
			}
		})
	}
}

// A primary whose cluster gets another storage stops the bucket, until the storage is the
// former one again, or people say so.
func TestPrimaryElsewhere(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			w := replicated(t, k.a, k.b)
			w.cluster("c3", k.c.Server(t))
			w.makeBucket("c3", "bkt")
			w.must(w.ctl.Resources.Delete(context.Background(), catalog.KindCluster, "c3", control.Precondition{}))
			w.redeclare("c1", k.c.Server(t))
			if w.ctl.Router().Current("bkt", "k00", "c1") {
				t.Error("a storage that was not compared is a hit")
			}
			w.awaitStuck("bkt", "c1", "/trust")
			if n := len(w.contents("c2", "bkt")); n != 20 {
				t.Fatalf("the copy has %d of 20 objects", n)
			}
			w.redeclare("c1", k.a.Server(t))
			w.awaitOK("bkt", "c1", "c2")

			// The same storage by another name is told where birth dates tell.
			w.clusterAt("c1", k.a.Server(t), byAnotherName(t, k.a.Server(t)))
			if !k.births {
				w.awaitStuck("bkt", "c1", "/trust")
				w.must(w.eng.Decisions().Trust(context.Background(), "bkt", "c1"))
			}
			w.awaitOK("bkt", "c1", "c2")
			w.put("c1", "bkt", "new", "x")
			w.must(w.eng.SyncBucket(context.Background(), "bkt"))
			w.awaitSame("bkt", "c1", "c2")
		})
	}
}

// A purge leaves what lies at another storage under the name it was decided about.
func TestPurgeElsewhere(t *testing.T) {
	t.Parallel()
	for _, mode := range []PurgeMode{PurgeAll, PurgeCopies} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			w := replicated(t, minioA, minioB)
			w.cluster("c3", minioC.Server(t))
			w.fillFrom("c3", "bkt", 10)
			w.must(w.ctl.Resources.Delete(context.Background(), catalog.KindCluster, "c3", control.Precondition{}))
			w.must(w.eng.Pause(context.Background()))
			w.must(w.eng.Purge(context.Background(), "bkt", mode, control.Precondition{}))
			w.redeclare("c2", minioC.Server(t))
			w.must(w.eng.Resume(context.Background()))
			w.await("the purge is over", func() bool { return len(w.purges()) == 0 })
			if n := len(w.contents("c2", "bkt")); n != 10 {
				t.Errorf("%d of 10 objects of someone's are left", n)
			}
		})
	}
}

// command runs a command that must succeed.
func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// A primary that is restored from a backup stops the bucket: neither are newer versions at its
// copy overwritten by older ones, nor is what was written since removed.
func TestPrimaryRolledBack(t *testing.T) {
	t.Parallel()
	for _, kind := range []testenv.Kind{testenv.KindMinIO, testenv.KindVersityGW} {
		for _, trusted := range []string{"c1", "c2"} {
			t.Run(fmt.Sprint(kind, " ", trusted), func(t *testing.T) {
				t.Parallel()
				ctx := context.Background()
				srv := testenv.StartFor(t, kind, testenv.Options{})
				w := replicated(t, func() (*testenv.Server, error) { return srv, nil }, minioB)
				backup := t.TempDir()
				srv.Stop()
				command(t, "cp", "-a", srv.Dir+"/.", backup)
				w.must(srv.Restart(ctx))
				awaitNextSeconds(1)
				for i := range 25 {
					w.put("c1", "bkt", fmt.Sprintf("k%02d", i), fmt.Sprint("newer ", i))
				}
				w.must(w.eng.SyncBucket(ctx, "bkt"))
				w.awaitSame("bkt", "c1", "c2")
				w.awaitOK("bkt", "c1", "c2")

				srv.Stop()
				command(t, "sh", "-c", "rm -rf "+srv.Dir+"/* "+srv.Dir+"/.[!.]*")
				command(t, "cp", "-a", backup+"/.", srv.Dir)
				w.must(srv.Restart(ctx))
				w.must(w.eng.SyncBucket(ctx, "bkt"))
				w.awaitStuck("bkt", "c1", "older", "/trust")
				if n := len(w.contents("c2", "bkt")); n != 25 {
					t.Fatalf("the copy has %d of 25 objects", n)
				}
				if got, _ := w.get("c2", "bkt", "k07"); got != "newer 7" {
					t.Fatalf("k07 = %q at the copy", got)
				}

				w.must(w.eng.Decisions().Trust(ctx, "bkt", trusted))
				if trusted == "c1" {
					w.awaitSame("bkt", "c1", "c2")
					w.awaitOK("bkt", "c1", "c2")
					if got, _ := w.get("c2", "bkt", "k07"); got != "as in c1 7" {
						t.Errorf("k07 = %q at the copy", got)
					}
					return
				}
				w.await("the rest is brought back", func() bool { return len(w.contents("c1", "bkt")) == 25 })
				w.await("what differs is a conflict", func() bool { return w.status("bkt").Conflicts == 20 })
				for c, want := range map[string]string{"c1": "as in c1 7", "c2": "newer 7"} {
					if got, _ := w.get(c, "bkt", "k07"); got != want {
						t.Errorf("k07 = %q in %s, want %q", got, c, want)
					}
				}
			})
		}
	}
}
