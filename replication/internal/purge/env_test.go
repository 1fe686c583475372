package purge

import (
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/port"
	"github.com/fado-project/fado/replication/internal/walk"
	"github.com/fado-project/fado/replication/internal/walktest"
	"github.com/fado-project/fado/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bkt = walktest.Bucket

// world is the purges of an instance over storages in memory, and the walks that make the copies.
type world struct {
	*walktest.World
	*Purges
	syncer *walk.Syncer
	ahead  time.Duration // of the purges' clock
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{World: walktest.New(tb)}
	log := zap.NewNop()
	made := buckets.New(buckets.Options{
		Router: w.Ctl.Router(), Control: w.Ctl, Copies: w.Copies, Sites: w.Sites, Guard: w.Guard, Deletes: w.Deletes,
		Log: log, Now: time.Now, AskSource: w.AskSource,
	})
	w.syncer = walk.New(walk.Options{
		Router: w.Ctl.Router(), Control: port.Of(w.Ctl), Copies: w.Copies, Sites: w.Sites, Guard: w.Guard, Pause: w.Pause, Slots: w.Slots,
		Objects: w.Objects, Deletes: w.Deletes, Buckets: made, Report: w.Report, Log: log, Now: time.Now, SaveEvery: time.Hour,
		Hooks: walk.Hooks{
			RequestScan: w.RequestScan, Helpers: func() int { return 0 }, Carriers: func(string, string) int { return 0 },
		},
	}).Syncer
	w.Purges = New(Options{
		Router: w.Ctl.Router(), Control: w.Ctl, Resources: w.Ctl.Resources, Sites: w.Sites, Guard: w.Guard, Pause: w.Pause,
		Objects: w.Objects, Buckets: made, Log: log, Now: func() time.Time { return time.Now().Add(w.ahead) },
	})
	return w
}

// synced brings a bucket of some objects in step in c2.
func (w *world) synced(keys ...string) {
	w.Helper()
	for _, k := range keys {
		w.Fakes["c1"].User(bkt, k, "body of "+k)
	}
	w.Rows(walktest.Primary("c1"), walktest.CopyOf("c2", catalog.CopyWaiting))
	w.Must(w.syncer.Sync(w.Context(), walktest.At("c2")))
	w.WantSame("c1", "c2")
}

// order has the bucket purged, and returns what was noted.
func (w *world) order(mode state.PurgeMode) state.Purge {
	w.Helper()
	w.Must(w.Order(w.Context(), bkt, mode, control.Precondition{}))
	all := w.underWay()
	if len(all) != 1 {
		w.Fatalf("noted are %+v", all)
	}
	return all[0]
}

func (w *world) underWay() []state.Purge {
	w.Helper()
	all, err := w.Store.Purges().Purges(w.Context())
	w.Must(err)
	return all
}

// carryOut carries a purge out, which has to succeed.
func (w *world) carryOut(in state.Purge) {
	w.Helper()
	if cluster, err := w.purge(w.Context(), in); err != nil {
		w.Fatalf("in %s: %v", cluster, err)
	}
	if left := w.underWay(); len(left) != 0 {
		w.Fatalf("still noted are %+v", left)
	}
}

// wantKeys fails the test unless a cluster shows just these keys.
func (w *world) wantKeys(cluster string, keys ...string) {
	w.Helper()
	got := w.Fakes[cluster].Contents(bkt)
	for _, k := range keys {
		if _, there := got[k]; !there {
			w.Errorf("%s lacks %s", cluster, k)
		}
	}
	if len(got) != len(keys) {
		w.Errorf("%s has %q, want the keys %q", cluster, got, keys)
	}
}
