package replication

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// moveTo says that an instance is in another cluster from now on.
func (w *world) moveTo(ctl *control.Control, cluster string) {
	w.Helper()
	_, err := ctl.Attach(context.Background(), control.Config{Here: cluster, AuditKeep: 400 * 24 * time.Hour})
	w.must(err)
}

// stuckBecause waits until a bucket is stuck for a reason with all of some words.
func (w *world) stuckBecause(bucket string, words ...string) {
	w.Helper()
	w.await(fmt.Sprintf("bucket %s stuck: %q", bucket, words), func() bool {
		st := w.status(bucket)
		for _, word := range words {
			if st.State != control.BucketStuck || !strings.Contains(st.Reason, word) {
				return false
			}
		}
		return true
	})
}

// An instance in a cluster that a policy does not allow carries no byte of the bucket; where it
// is the only one the bucket is stuck, until it, or the policy, moves.
func TestForbiddenInstanceCarriesNothing(t *testing.T) {
	t.Parallel()
	var moved atomic.Int64
	w := newWorld(t, Settings{Workers: 4}, func(o *Options) {
		o.Copy = func(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, obj storage.Object, opts storage.CopyOptions) (storage.Object, error) {
			if bucket == "bkt" {
				moved.Add(1)
			}
			return fakestorage.Copy(ctx, src, dst, bucket, obj, opts)
		}
	})
	src := w.fake("eu1")
	w.fake("eu2")
	w.fake("us")
	w.moveTo(w.ctl, "us")
	w.policy("in-eu", 2, "eu1", "eu2")
	w.policy("on-demand", 1, "eu1", "eu2")
	w.bucket("bkt", "in-eu", "eu1")
	w.await("the bucket", func() bool { return src.Contents("bkt") != nil })
	src.User("bkt", "k", "secret")
	w.stuckBecause("bkt", "no instance may copy or serve the bucket's objects", "policy in-eu", "(us)")
	if _, err := w.eng.Verifications().Request(context.Background(), "bkt", true); !errors.Is(err, ErrPath) {
		t.Errorf("reading all of it: %v, want %v", err, ErrPath)
	}
	p := Passage{Bucket: "bkt", Key: "k", Cluster: "eu1"}
	if _, err := w.eng.Gateway().Read(context.Background(), p, &storage.Forward{Method: http.MethodGet, Bucket: "bkt", Key: "k"}); !errors.Is(err, ErrForbidden) {
		t.Errorf("a user's read: %v, want %v", err, ErrForbidden)
	}
	write := UserWrite{Passage: p, Keys: []string{"k"}}
	if _, err := w.eng.Gateway().Write(context.Background(), write, &storage.Forward{Method: http.MethodPut, Bucket: "bkt", Key: "k", Size: 1, Body: io.NopCloser(strings.NewReader("x"))}); !errors.Is(err, ErrForbidden) {
		t.Errorf("a user's write: %v, want %v", err, ErrForbidden)
	}
	err := w.eng.Pull(context.Background(), routing.PullPlan{
		Objects: []catalog.ObjectName{{Bucket: "bkt", Key: "k"}}, Clusters: []string{"eu2"}, Timeout: patience,
	})
	if !errors.Is(err, ErrPath) {
		t.Errorf("a copy on demand: %v, want %v", err, ErrPath)
	}
	if _, held := w.fakes["eu2"].Contents("bkt")["k"]; moved.Load() > 0 || held {
		t.Fatalf("%d objects passed through an instance in a forbidden cluster", moved.Load())
	}
	w.moveTo(w.ctl, "eu2")
	w.awaitOK("bkt", "eu1", "eu2")
	w.awaitSame("bkt", "eu1", "eu2")
	w.moveTo(w.ctl, "us")
	w.stuckBecause("bkt", "policy in-eu")
	before := moved.Load()
	src.User("bkt", "later", "x")
	w.policy("in-eu", 2, "eu1", "eu2", "us") // the policy moves
	w.awaitOK("bkt", "eu1", "eu2")
	w.awaitSame("bkt", "eu1", "eu2")
	if before == 0 || moved.Load() == before {
		t.Errorf("moved %d, then %d", before, moved.Load())
	}
}

// Of several instances only those in allowed clusters carry a bucket's bytes, no matter which instance looks after
// it: first walks, live changes, and moves of the primary.
func TestAllowedInstanceCarries(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, Settings{Workers: 8})
	us, eu := f.members[0], f.members[1]
	src := f.fake("eu1")
	f.fake("eu2")
	f.fake("us")
	f.moveTo(us.ctl, "us")
	f.moveTo(eu.ctl, "eu1")
	f.awaitDealt(us, eu)
	f.policy("in-eu", 2, "eu1", "eu2")
	const buckets = 12 // looked after by both
	each := func(do func(name string)) {
		for i := range buckets {
			do(fmt.Sprint("bkt", i))
		}
	}
	each(func(name string) {
		f.bucket(name, "in-eu", "eu1")
		f.await("the bucket", func() bool { return src.Contents(name) != nil })
		for k := range 20 {
			src.User(name, fmt.Sprintf("k%02d", k), name)
		}
	})
	each(func(name string) { f.awaitSame(name, "eu1", "eu2"); f.awaitOK(name, "eu1", "eu2") })
	each(func(name string) { src.User(name, "late", "late") })
	each(func(name string) { f.awaitSame(name, "eu1", "eu2") })
	each(func(name string) { f.bucket(name, "in-eu", "eu2") }) // the primary moves
	each(func(name string) { f.awaitOK(name, "eu2", "eu1") })
	if n := us.copies(); n > 0 {
		t.Errorf("%d objects passed through the instance in a forbidden cluster", n)
	}
	if n := eu.copies(); n < buckets*21 {
		t.Errorf("%d objects passed through the allowed one, want %d at least", n, buckets*21)
	}
	if _, err := us.eng.Verifications().Request(context.Background(), "bkt0", true); err != nil {
		t.Errorf("reading all of a bucket, by another instance: %v", err)
	}
	f.await("the other instance's verification", func() bool {
		v, err := eu.eng.Verifications().Last(context.Background(), "bkt0")
		return err == nil && v.State != "never" && v.Deep
	})
	for _, m := range []*fleetMember{us, eu} {
		all, err := m.eng.Reports().Instances(context.Background())
		f.must(err)
		for _, i := range all {
			if want := map[bool]string{true: "us", false: "eu1"}[i.ID == us.ctl.Members.Claimant()]; i.Cluster != want {
				t.Errorf("%s says that %s is in %q, want %q", m.name, i.ID, i.Cluster, want)
			}
		}
	}
	eu.leave()
	f.stuckBecause("bkt1", "no instance may", "(us)")
	f.moveTo(us.ctl, "eu2")
	f.awaitOK("bkt1", "eu2", "eu1")
	f.wayIsRecorded()
}

// wayIsRecorded holds the records of copies against the way that bytes took.
func (f *fleet) wayIsRecorded() {
	f.Helper()
	var text strings.Builder
	records, err := f.store.Audits().AuditRecords(context.Background(), state.AuditFilter{}, 0)
	f.must(err)
	for _, r := range records {
		text.WriteString(jsonOf(f, r) + "\n")
	}
	report, err := audit.Verify(strings.NewReader(text.String()), audit.Head{}, nil)
	f.must(err)
	if len(report.Problems) > 0 || report.Records == 0 {
		f.Errorf("%d records, %v", report.Records, report.Problems)
	}
}

func jsonOf(f *fleet, v any) string {
	text, err := json.Marshal(v)
	f.must(err)
	return string(text)
}
