package move

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/evict"
	"github.com/fado-project/fado/replication/internal/port"
	"github.com/fado-project/fado/replication/internal/walk"
	"github.com/fado-project/fado/replication/internal/walktest"
	"github.com/fado-project/fado/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bkt = walktest.Bucket

var (
	primary, copyOf = walktest.Primary, walktest.CopyOf
	at              = walktest.At
)

// world is the moves of an instance over storages in memory, and what else goes over copies.
type world struct {
	*walktest.World
	*walk.Walks
	*Moves
	Evictor *evict.Evictor
	o       Options

	lockRule map[string]string // of the bucket's object lock, by cluster
}

func newWorld(tb testing.TB, allowed ...string) *world {
	tb.Helper()
	w := &world{World: walktest.New(tb, allowed...), lockRule: make(map[string]string)}
	log, now := zap.NewNop(), time.Now
	made := buckets.New(buckets.Options{
		Router: w.Ctl.Router(), Control: w.Ctl, Copies: w.Copies, Sites: w.Sites, Guard: w.Guard, Deletes: w.Deletes,
		Log: log, Now: now, AskSource: w.AskSource,
		CopyLockRule: func(_ context.Context, src storage.Reader, dst storage.Writer, _ string) (bool, error) {
			was := w.lockRule[dst.Name()]
			w.lockRule[dst.Name()] = w.lockRule[src.Name()]
			return was != w.lockRule[src.Name()], nil
		},
	})
	w.Walks = walk.New(walk.Options{
		Router: w.Ctl.Router(), Control: port.Of(w.Ctl), Copies: w.Copies, Sites: w.Sites, Guard: w.Guard, Pause: w.Pause, Slots: w.Slots,
		Objects: w.Objects, Deletes: w.Deletes, Buckets: made, Report: w.Report, Log: log, Now: now, SaveEvery: time.Hour,
		Hooks: walk.Hooks{
			RequestScan: w.RequestScan, Helpers: func() int { return 0 }, Carriers: func(string, string) int { return 0 },
		},
	})
	w.Evictor = evict.New(evict.Options{
		Router: w.Ctl.Router(), Members: w.Ctl.Members, Copies: w.Copies, Sites: w.Sites, Guard: w.Guard, Pause: w.Pause, Objects: w.Objects,
		Deletes: w.Deletes, Buckets: made, Events: w.Ctl.Events(), Log: log, Now: now,
		Hooks: evict.Hooks{
			AskSource: w.AskSource, LeaveToPulled: func(context.Context, string, string) error { return nil },
			Alone: func(context.Context) bool { return true },
		},
		Timing: evict.Timing{CallTimeout: 10 * time.Second, Drain: func() time.Duration { return time.Minute }},
	})
	w.o = Options{
		Router: w.Ctl.Router(), Control: port.Of(w.Ctl), Copies: w.Copies, Sites: w.Sites, Guard: w.Guard, Pause: w.Pause, Slots: w.Slots,
		Objects: w.Objects, Deletes: w.Deletes, Buckets: made, Locks: w.Locks, Scanner: w.Scanner, Historian: w.Historian, Log: log, Now: now,
		Hooks:  Hooks{RequestScan: w.RequestScan, NoEventFeed: func() bool { return true }},
		Timing: Timing{Patience: time.Minute, CarryPause: time.Millisecond},
	}
	w.Moves = New(w.o)
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
