package replication

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/state"
)

// verify has a bucket verified and waits for the outcome.
func (w *world) verify(bucket string, deep bool) Verification {
	w.Helper()
	_, err := w.eng.Verifications().Request(context.Background(), bucket, deep)
	w.must(err)
	return w.awaitVerified(bucket)
}

func (w *world) awaitVerified(bucket string) Verification {
	w.Helper()
	var v Verification
	w.await("the verification of "+bucket, func() bool {
		var err error
		v, err = w.eng.Verifications().Last(context.Background(), bucket)
		w.must(err)
		return v.State == "done" || v.State == "failed"
	})
	if v.State != "done" {
		w.Fatalf("the verification failed: %+v", v)
	}
	return v
}

// rot flips a byte of an object's content in the server's data directory.
func (w *world) rot(cluster, bucket, key string) {
	w.Helper()
	srv := w.servers[cluster]
	path := filepath.Join(srv.Dir, w.prefix+bucket, key)
	if srv.Kind != testenv.KindVersityGW {
		var part string
		err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.Name() == "part.1" {
				part = p
			}
			return err
		})
		w.must(err)
		if part == "" {
			w.Fatalf("no part of %s in %s", key, path)
		}
		path = part
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	w.must(err)
	defer f.Close()
	st, err := f.Stat()
	w.must(err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, st.Size()/2)
	w.must(err)
	b[0] ^= 0x40
	_, err = f.WriteAt(b, st.Size()/2)
	w.must(err)
	w.must(os.Chtimes(path, time.Time{}, st.ModTime()))
}

// read returns an object's content, or why it can't be read.
func (w *world) read(cluster, bucket, key string) (string, error) {
	w.Helper()
	o, err := w.apis[cluster].GetObject(context.Background(), w.prefix+bucket, key, minio.GetObjectOptions{})
	w.must(err)
	defer o.Close()
	b, err := io.ReadAll(o)
	return string(b), err
}

// bigBody is large enough that a MinIO keeps it in a file of its own.
func bigBody(seed byte) string {
	b := make([]byte, 300<<10)
	_, _ = rand.Read(b)
	b[0] = seed
	return string(b)
}

// A copy whose bytes rotted is found by reading them, and written again from the primary,
// whatever storage it is on and whether it keeps versions.
func TestVerifyRepairsRot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.cluster("c3", versA.Server(t))
	w.policy("all", 3, "c1", "c2", "c3")
	for _, b := range []string{"plain", "kept"} {
		w.makeBucket("c1", b)
		if b == "kept" {
			w.enableVersioning("c1", b)
		}
		for _, k := range []string{"a", "b", "c"} {
			w.put("c1", b, k, bigBody(k[0]))
		}
		w.bucket(b, "all", "c1")
	}
	w.feedsLive("c1", "c2")
	for _, b := range []string{"plain", "kept"} {
		w.awaitOK(b, "c1", "c2", "c3")
		w.rot("c2", b, "b")
		w.rot("c3", b, "c")
		if v := w.verify(b, false); v.Mismatches != 0 || v.Objects != 6 {
			t.Errorf("%s: the listings: %+v", b, v)
		}
		v := w.verify(b, true)
		if v.Mismatches != 2 || v.Repaired != 2 || v.Unrepairable != 0 || !v.Deep {
			t.Fatalf("%s: %+v", b, v)
		}
		for _, m := range v.Keys {
			if m.State != "repaired" || m.Cluster+m.Key != "c2b" && m.Cluster+m.Key != "c3c" {
				t.Errorf("%s: %+v", b, m)
			}
		}
		for _, k := range []string{"a", "b", "c"} {
			want, _ := w.get("c1", b, k)
			for _, c := range []string{"c2", "c3"} {
				if got, _ := w.get(c, b, k); got != want {
					t.Errorf("%s: %s has other bytes of %s", b, c, k)
				}
			}
		}
		if v := w.verify(b, true); v.Mismatches != 0 || v.Bytes != v.TotalBytes || v.Bytes < 9*300<<10 {
			t.Errorf("%s: after the repair: %+v", b, v)
		}
		w.awaitOK(b, "c1", "c2", "c3")
	}
}

// A primary whose bytes rotted is no source: the copy is not overwritten, and the primary
// is written again from it, because its bytes are proven to be what was written there.
func TestVerifyRepairsThePrimary(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", versA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.makeBucket("c1", "bkt")
	body := bigBody('x')
	w.put("c1", "bkt", "k", body)
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.rot("c1", "bkt", "k")
	v := w.verify("bkt", true)
	if v.Mismatches != 1 || v.Repaired != 1 || v.Keys[0].Cluster != "c1" || !strings.Contains(v.Keys[0].Reason, "repaired from c2") {
		t.Fatalf("%+v", v)
	}
	for _, c := range []string{"c1", "c2"} {
		if got, _ := w.get(c, "bkt", "k"); got != body {
			t.Errorf("%s has other bytes than were written", c)
		}
	}
	if v := w.verify("bkt", true); v.Mismatches != 0 {
		t.Errorf("after the repair: %+v", v)
	}
	w.awaitOK("bkt", "c1", "c2")
}

// With every copy damaged, too, nothing is written anywhere: the bucket is stuck, and says
// so after a restart.
func TestVerifyKeepsWhatNobodyCanProve(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", versA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.makeBucket("c1", "bkt")
	w.put("c1", "bkt", "k", bigBody('x'))
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.rot("c1", "bkt", "k")
	w.rot("c2", "bkt", "k")
	damaged, _ := w.get("c1", "bkt", "k")
	v := w.verify("bkt", true)
	if v.Mismatches != 1 || v.Unrepairable != 1 || v.Keys[0].State != "unrepairable" {
		t.Fatalf("%+v", v)
	}
	stuck := func() bool {
		st := w.status("bkt")
		return st.State == control.BucketStuck && strings.Contains(st.Reason, `"k" in c1`) && st.Reasons[0].Code == control.ReasonDamaged
	}
	w.await("the bucket is stuck", stuck)
	w.eng.Stop()
	w.ctl.Issues.Set("bkt", control.Source{Finder: control.FinderVerify}, control.Issue{})
	w.eng.Start(Settings{})
	w.await("the bucket is stuck after a restart", stuck)
	if got, _ := w.get("c1", "bkt", "k"); got != damaged {
		t.Error("the primary was written to")
	}

	// A user writes the object again: the next verification is content.
	w.feedsLive("c2")
	w.put("c1", "bkt", "k", "new")
	w.must(w.eng.SyncBucket(context.Background(), "bkt"))
	w.await("the new object is copied", func() bool { // a MinIO can't read what rotted
		got, err := w.read("c2", "bkt", "k")
		return err == nil && got == "new"
	})
	if v := w.verify("bkt", true); v.Mismatches != 0 {
		t.Fatalf("%+v", v)
	}
	w.awaitOK("bkt", "c1", "c2")
}

// Multipart objects are judged by the MD5s of their parts, and truncated files by size.
func TestVerifyMultipart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.makeBucket("c1", "bkt")
	body := bytes.Repeat([]byte("0123456789abcdef"), (11<<20)/16)
	_, err := w.apis["c1"].PutObject(context.Background(), w.prefix+"bkt", "multi", bytes.NewReader(body), int64(len(body)),
		minio.PutObjectOptions{PartSize: 5 << 20})
	w.must(err)
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	if v := w.verify("bkt", true); v.Mismatches != 0 {
		t.Fatalf("%+v", v)
	}
	w.rot("c2", "bkt", "multi")
	if v := w.verify("bkt", true); v.Mismatches != 1 || v.Repaired != 1 {
		t.Fatalf("%+v", v)
	}
	if got, _ := w.get("c2", "bkt", "multi"); got != string(body) {
		t.Error("c2 has other bytes")
	}
}

// What the listings show to be missing or different is repaired by the workers; what is
// someone else's is reported and left.
func TestVerifyListings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.makeBucket("c1", "bkt")
	for _, k := range []string{"a", "b", "c"} {
		w.put("c1", "bkt", k, "body of "+k)
	}
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.put("c2", "bkt", "b", "foreign")
	reported := false
	for range 10 { // a scan of the engine's own may be faster
		w.del("c2", "bkt", "a")
		v := w.verify("bkt", false)
		reported = slices.ContainsFunc(v.Keys, func(m Mismatch) bool { return m.Key == "a" && m.State == "repaired" })
		w.await("a is back", func() bool { got, _ := w.get("c2", "bkt", "a"); return got == "body of a" })
		if reported {
			break
		}
	}
	if !reported {
		t.Error("a missing object was never reported")
	}
	w.await("the foreign object is a conflict", func() bool { return w.conflicts("bkt", "c2")["b"] })
	if got, _ := w.get("c2", "bkt", "b"); got != "foreign" {
		t.Errorf("b is %q", got)
	}
	if _, err := w.eng.Verifications().Request(context.Background(), "nobody", false); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("an unknown bucket: %v", err)
	}
	if v, err := w.eng.Verifications().Last(context.Background(), "nobody"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("an unknown bucket: %+v %v", v, err)
	}
}

// A verification goes on where it was after a restart, and waits while replication is
// paused.
func TestVerifyResumes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, nil)
	w.cluster("c1", minioA.Server(t))
	w.makeBucket("c1", "bkt")
	const objects = 60
	for i := range objects {
		w.put("c1", "bkt", string(rune('A'+i)), strings.Repeat("x", 5000))
	}
	w.policy("one", 1, "c1")
	w.bucket("bkt", "one", "c1")
	w.awaitOK("bkt", "c1")
	w.must(w.eng.SyncBucket(context.Background(), "bkt"))
	w.await("the objects are counted", func() bool { row, _ := w.copyRow("bkt", "", "c1"); return row.Objects == objects })
	w.eng.Reconfigure(Settings{NoEventFeed: true, Bandwidth: 2000})
	_, err := w.eng.Verifications().Request(context.Background(), "bkt", true)
	w.must(err)
	part := func() int64 {
		row, err := w.store.Verifications().GetVerification(context.Background(), "bkt")
		w.must(err)
		if row.Cursor == "" {
			return 0
		}
		return row.Objects
	}
	w.await("it is on its way", func() bool { v, _ := w.eng.Verifications().Last(context.Background(), "bkt"); return v.Objects > 0 })
	w.must(w.eng.Pause(context.Background()))
	w.eng.Stop()
	before := part()
	w.eng.Start(Settings{NoEventFeed: true})
	w.await("it is taken up again", func() bool {
		v, _ := w.eng.Verifications().Last(context.Background(), "bkt")
		return v.State == "running"
	})
	w.eng.Stop()
	if after := part(); after != before {
		t.Errorf("%d objects were read while replication was paused", after-before)
	}
	w.eng.Start(Settings{NoEventFeed: true})
	w.must(w.eng.Resume(context.Background()))
	v := w.awaitVerified("bkt")
	if v.Objects != objects || v.Mismatches != 0 {
		t.Errorf("%d objects before the restart, then %+v", before, v)
	}
	st, err := w.eng.Reports().Status(context.Background(), false)
	if err != nil || len(st.Verifications) != 0 {
		t.Errorf("%+v %v", st.Verifications, err)
	}
}

// Anyone who asks for a verification gets one that begins after, or was under way when it was
// asked for: never the outcome of one that had ended before.
func TestVerifyAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) { o.Copy = fakestorage.Copy })
	w.fake("c1").User("bkt", "k", "x")
	w.fake("c2")
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	last := w.verify("bkt", false)
	for range 50 {
		v := w.verify("bkt", false)
		if v.Started.Before(*last.Finished) {
			t.Fatalf("asked for after %v, and it had begun at %v", last.Finished, v.Started)
		}
		last = v
	}
}

// Every bucket is verified once per interval, one after the other, without being asked.
func TestScrub(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true, VerifyInterval: 200 * time.Millisecond, VerifyDeep: true}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.policy("two", 2, "c1", "c2")
	buckets := []string{"one", "other"}
	for _, b := range buckets {
		w.makeBucket("c1", b)
		w.put("c1", b, "k", bigBody('x'))
		w.bucket(b, "two", "c1")
		w.awaitOK(b, "c1", "c2")
		w.rot("c2", b, "k")
	}
	for _, b := range buckets {
		want, _ := w.get("c1", b, "k")
		w.await(b+" is repaired by the scrub", func() bool {
			if len(w.pending(state.PendingFilter{Bucket: b})) > 0 {
				return false
			}
			v, err := w.eng.Verifications().Last(context.Background(), b)
			if err != nil || v.State == "never" {
				return false
			}
			got, err := w.read("c2", b, "k")
			return err == nil && got == want
		})
	}
}
