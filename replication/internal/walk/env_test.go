package walk

import (
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/port"
	"github.com/fado-project/fado/replication/internal/walktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bkt = walktest.Bucket

var (
	primary, copyOf = walktest.Primary, walktest.CopyOf
	at, keys        = walktest.At, walktest.Keys
)

// world is the walks of an instance over storages in memory.
type world struct {
	*walktest.World
	*Walks
	o Options

	helpers atomic.Int64
}

func newWorld(tb testing.TB, allowed ...string) *world {
	tb.Helper()
	w := &world{World: walktest.New(tb, allowed...)}
	log, now, router := zap.NewNop(), time.Now, w.Ctl.Router()
	helpers := func() int { return int(w.helpers.Load()) }
	w.o = Options{
		Router: router, Control: port.Of(w.Ctl), Copies: w.Copies, Sites: w.Sites, Guard: w.Guard, Pause: w.Pause, Slots: w.Slots,
		Objects: w.Objects, Deletes: w.Deletes, Report: w.Report, Log: log, Now: now, SaveEvery: time.Hour,
		Hooks: Hooks{RequestScan: w.RequestScan, Helpers: helpers, Carriers: func(string, string) int { return helpers() }},
		Buckets: buckets.New(buckets.Options{
			Router: router, Control: w.Ctl, Copies: w.Copies, Sites: w.Sites, Guard: w.Guard, Deletes: w.Deletes, Log: log, Now: now, AskSource: w.AskSource,
		}),
	}
	w.Walks = New(w.o)
	return w
}

// synced brings a bucket of some objects in step in c2.
func (w *world) synced(keys ...string) {
	w.Helper()
	for _, k := range keys {
		w.Fakes["c1"].User(bkt, k, "body of "+k)
	}
	w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
	w.Must(w.Syncer.Sync(w.Context(), at("c2")))
}

// clock is the time by the clock of a cluster's storage.
func (w *world) clock(cluster string) time.Time {
	w.Helper()
	now, err := w.Site(cluster).Clock(w.Context())
	w.Must(err)
	return now
}
