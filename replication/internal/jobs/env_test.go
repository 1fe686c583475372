package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/peers"
	"github.com/fado-project/fado/replication/internal/plan"
	"github.com/fado-project/fado/replication/internal/port"
	"github.com/fado-project/fado/replication/internal/verify"
	"github.com/fado-project/fado/replication/internal/walk"
	"github.com/fado-project/fado/replication/internal/walktest"
	"github.com/fado-project/fado/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bkt = walktest.Bucket

var (
	primary, copyOf = walktest.Primary, walktest.CopyOf
	at              = walktest.At
	errOff          = errors.New("off")
)

// world is the jobs of an instance over storages in memory, and the walks that find what people
// have to decide.
type world struct {
	*walktest.World
	*Jobs
	walks *walk.Walks
	o     Options

	mu    sync.Mutex
	off   bool
	asked []peers.Request
	calls []string // of what is above
	err   error    // that those fail with
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{World: walktest.New(tb)}
	log := zap.NewNop()
	made := buckets.New(buckets.Options{
		Router: w.Ctl.Router(), Control: w.Ctl, Copies: w.Copies, Sites: w.Sites, Guard: w.Guard, Deletes: w.World.Deletes,
		Log: log, Now: time.Now, AskSource: w.AskSource,
	})
	w.walks = walk.New(walk.Options{
		Router: w.Ctl.Router(), Control: port.Of(w.Ctl), Copies: w.Copies, Sites: w.Sites, Guard: w.Guard, Pause: w.Pause, Slots: w.Slots,
		Objects: w.Objects, Deletes: w.World.Deletes, Buckets: made, Report: w.Report, Log: log, Now: time.Now, SaveEvery: time.Hour,
		Hooks: walk.Hooks{
			RequestScan: w.RequestScan, Helpers: func() int { return 0 }, Carriers: func(string, string) int { return 0 },
		},
	})
	w.o = Options{
		Router: w.Ctl.Router(), Control: port.Of(w.Ctl), Resources: w.Ctl.Resources, Copies: w.Copies, Sites: w.Sites, Guard: w.Guard,
		Slots: w.Slots, Objects: w.Objects, Deletes: w.World.Deletes, Report: w.Report, Moves: above{w}, Evictor: above{w},
		Inputs: func() *plan.Inputs { return plan.NewInputs(w.Ctl.Router().Snapshot(), nil, nil) },
		Log:    log, Now: time.Now,
		Hooks: Hooks{
			Running: w.running,
			Ask: func(_ context.Context, q peers.Request) error {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.asked = append(w.asked, q)
				return w.err
			},
			RequestScan: func(bucket string) { _ = w.call("scan " + bucket) },
			Sync:        func(_ context.Context, bucket string) error { return w.call("sync " + bucket) },
			IsThere:     func(bucket string) { _ = w.call("is there " + bucket) },
			Replan:      func() { _ = w.call("replan") },
			Verifier:    func() (Verifier, error) { return above{w}, w.running() },
		},
	}
	w.Jobs = New(w.o)
	return w
}

func (w *world) running() error {
	if w.off {
		return errOff
	}
	return nil
}

// call notes a call of what is above.
func (w *world) call(what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, what)
	return w.err
}

// wantCalls fails the test unless these were the calls of what is above, and forgets them.
func (w *world) wantCalls(want ...string) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.calls, want) {
		w.Errorf("called were %q, want %q", w.calls, want)
	}
	w.calls = nil
}

// above is what is above the jobs, or beside them.
type above struct{ w *world }

func (a above) TrustPrimary(_ context.Context, bucket string) error {
	return a.w.call("trust primary of " + bucket)
}

func (a above) TrustCopy(_ context.Context, bucket, cluster string) error {
	return a.w.call("trust " + bucket + " in " + cluster)
}

func (a above) Abandon(ctx context.Context, bucket, cluster, heir string) error {
	if err := a.w.call("abandon " + bucket + " in " + cluster + " for " + heir); err != nil && !errors.Is(err, control.ErrNotFound) {
		return err
	}
	return errors.Join(a.w.err, a.w.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		rows = slices.DeleteFunc(rows, func(c state.Copy) bool { return c.Cluster == cluster })
		for i := range rows {
			rows[i].Primary = rows[i].Primary || rows[i].Cluster == heir
		}
		return rows, nil
	}))
}

func (a above) ReleaseHistory(_ context.Context, bucket, cluster string) (int, error) {
	return 3, a.w.call("release " + bucket + " in " + cluster)
}

func (a above) Request(_ context.Context, bucket string, deep bool) (verify.Verification, error) {
	return verify.Verification{Bucket: bucket, State: "running"}, a.w.call(fmt.Sprintf("verify %s %v", bucket, deep))
}

func (a above) Get(_ context.Context, bucket string) (verify.Verification, error) {
	return verify.Verification{Bucket: bucket, State: "done"}, a.w.call("get " + bucket)
}

func (a above) Delegate(_ context.Context, bucket string) (bool, error) {
	return bucket == "far", a.w.call("delegate " + bucket)
}

// synced brings a bucket of some objects in step in c2.
func (w *world) synced(keys ...string) {
	w.Helper()
	for _, k := range keys {
		w.Fakes["c1"].User(bkt, k, "body of "+k)
	}
	w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
	w.Must(w.walks.Syncer.Sync(w.Context(), at("c2")))
	w.WantSame("c1", "c2")
}

// amend changes the row of the copy in a cluster.
func (w *world) amend(cluster string, f func(*state.Copy)) {
	w.Helper()
	w.Must(w.Copies.Update(w.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) {
		f(&rows[copyrows.Index(rows, "", cluster)])
		return rows, nil
	}))
}

// swapped has what lies in a cluster not be the bucket that was compared there.
func (w *world) swapped(cluster string) {
	w.Helper()
	w.amend(cluster, func(c *state.Copy) {
		if c.Born.IsZero() {
			w.Fatalf("nobody knows when the bucket in %s was made", cluster)
		}
		c.Born = c.Born.Add(-time.Hour)
	})
}

// held returns how many of the bucket's rows are held.
func (w *world) held(hold state.Hold) (n int) {
	w.Helper()
	for _, r := range w.Pending() {
		if r.Hold == hold {
			n++
		}
	}
	return n
}

// wantNotFound fails the test unless an error says that something is not there.
func (w *world) wantNotFound(err error) {
	w.Helper()
	w.WantErr(err, control.ErrNotFound)
}
