package buckets

import (
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/walktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bkt = walktest.Bucket

var (
	primary, copyOf = walktest.Primary, walktest.CopyOf
	at              = walktest.At
)

// world is the buckets of an instance over storages in memory.
type world struct {
	*walktest.World
	o Options
	*Buckets
}

func newWorld(tb testing.TB, allowed ...string) *world {
	tb.Helper()
	w := &world{World: walktest.New(tb, allowed...)}
	w.o = Options{
		Router: w.Ctl.Router(), Control: w.Ctl, Copies: w.Copies, Sites: w.Sites, Guard: w.Guard, Deletes: w.Deletes,
		Log: zap.NewNop(), Now: time.Now, AskSource: w.AskSource,
	}
	w.Buckets = New(w.o)
	return w
}
