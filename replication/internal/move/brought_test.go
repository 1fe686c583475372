package move

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/port"
	"github.com/fado-project/fado/state"
)

// An object that users wrote while the primary's move was prepared (its scan takes long), and that was copied to the next
// one, is deleted there behind the move. What FaDO copied is forgotten by then: it was restarted, or that was more than
// five minutes ago: what the next one keeps tells of it. The delete stands.
func TestCarryOverBringsNothingDeletedBack(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"remembered", "restarted", "six minutes"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.KeepTimes()
			var ahead atomic.Int64
			restart := func() {
				w.Objects = object.New(object.Options{
					Router: w.Ctl.Router(), Control: port.Of(w.Ctl), Copies: w.Copies, Guard: w.Guard, Sites: w.Sites, Deletes: w.Deletes, Report: w.Report,
					Copy: object.CopyFunc(fakestorage.Copier(func(name string) *fakestorage.Storage { return w.Fakes[name] })), Log: zap.NewNop(),
					Now:    func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
					Timing: object.Timing{StallTimeout: time.Minute, RetryBase: time.Millisecond, RetryMax: 10 * time.Millisecond},
				})
				w.o.Objects = w.Objects
				w.Moves = New(w.o)
			}
			w.o.Hooks.Leaves = func(context.Context, string, string, time.Time) error {
				w.Fakes["c1"].User(bkt, "k", "written before the move")
				w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "k", Cluster: "c2", Since: time.Now()}))
				w.Settle()
				return nil
			}
			restart()
			w.synced("a")
			w.Must(w.Mover.MovePrimary(t.Context(), bkt, "c2"))
			if got := w.Fakes["c2"].Contents(bkt)["k"]; got != "written before the move" {
				t.Fatalf("c2 has %q", got)
			}
			w.Fakes["c2"].UserDelete(bkt, "k") // where users write now
			switch how {
			case "restarted":
				restart()
			case "six minutes":
				ahead.Store(int64(6 * time.Minute))
			}
			w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
			if got, back := w.Fakes["c2"].Contents(bkt)["k"]; back {
				t.Errorf("what users deleted at the primary is back: %q", got)
			}
		})
	}
}

// The same write once more, after users deleted what was copied, is another one: it is brought.
func TestCarryOverBringsTheSameContentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.KeepTimes()
	w.o.Hooks.Leaves = func(context.Context, string, string, time.Time) error {
		w.Fakes["c1"].User(bkt, "k", "the same")
		w.settled("k", "c2")
		w.Fakes["c1"].UserDelete(bkt, "k")
		w.settled("k", "c2")
		for range 3 { // each write is a second later
			w.Fakes["c1"].User(bkt, "k", "the same")
		}
		return nil
	}
	w.Moves = New(w.o)
	w.synced("a")
	w.Must(w.Mover.MovePrimary(t.Context(), bkt, "c2"))
	w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
	if got := w.Fakes["c2"].Contents(bkt)["k"]; got != "the same" {
		t.Errorf("the new primary has %q", got)
	}
}
