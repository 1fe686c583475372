package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/control/mirror"
	"github.com/fado-project/fado/state"
)

var errDown = fmt.Errorf("connection refused: %w", state.ErrUnavailable)

// disk is a mirror's store, as far as an Opening reads it.
type disk struct {
	state.Store
	holds string
}

func (d *disk) Facts() state.Facts { return diskFacts{of: d} }

// Queue is not read of a disk.
func (d *disk) Queue() state.Queue { return nil }

type diskFacts struct {
	state.Facts
	of *disk
}

func (d diskFacts) GetMeta(context.Context, string) (string, error) { return d.of.holds, nil }
func (d *disk) Close() error                                        { return nil }

// heldSince is a disk that was written some time ago.
func heldSince(age time.Duration) *disk {
	return &disk{holds: fmt.Sprintf(`{"at":%q,"changes":5,"objects":6}`, time.Now().Add(-age).UTC().Format(time.RFC3339))}
}

type database struct {
	state.Store
	closed int
}

func (d *database) Close() error {
	d.closed++
	return nil
}

// opened is a host that notes what it works on.
type opened struct {
	mu      sync.Mutex
	using   state.Store
	standby state.Store
	came    int
	err     error
}

func (h *opened) Use(_ context.Context, s state.Store) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		h.using = s
	}
	return h.err
}

func (h *opened) StandIn(_ context.Context, _, standby state.Store) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.standby = standby
	return h.err
}

func (h *opened) Came(context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.came++
}

// attempts opens a store at the attempt of a number, and fails with errors before.
type attempts struct {
	mu    sync.Mutex
	n, at int
	err   error
	store database
}

func (a *attempts) open(context.Context) (state.Store, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n++; a.n < a.at {
		return nil, a.err
	}
	return &a.store, nil
}

func opening(h *opened, a *attempts, stored state.Store, maxAge time.Duration) *mirror.Opening {
	o := mirror.OpeningOptions{
		Open: a.open, Kind: "postgres", Patience: time.Second, MaxAge: maxAge, Host: h, Now: time.Now, Log: zap.NewNop(),
	}
	if stored != nil {
		o.Stored = stored
		o.Mirror = mirror.New(mirror.Options{Store: stored})
	}
	return mirror.NewOpening(o)
}

// A store that comes within the patience of a start is used as if nothing had been.
func TestAStoreThatComesSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, a := new(opened), &attempts{at: 4, err: errDown}
		o := opening(h, a, heldSince(time.Hour), 0)
		if err := o.First(t.Context()); err != nil || h.using != &a.store || h.standby != nil || o.Missing() != nil {
			t.Errorf("%v; works on %v, %v", err, h.using, o.Missing())
		}
		o.Stop()
		o.CloseStore()
		o.CloseStore()
		if a.store.closed != 1 || h.came != 0 {
			t.Errorf("closed %d times, told %d times that it came", a.store.closed, h.came)
		}
	})
}

// Without the store the mirror stands in, with the reason, until the store comes.
func TestTheMirrorStandsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, a := new(opened), &attempts{at: 20, err: errDown}
		o := opening(h, a, heldSince(time.Hour), 2*time.Hour)
		if err := o.First(t.Context()); err != nil {
			t.Fatal(err)
		}
		if h.using != nil || h.standby == nil || !errors.Is(o.Missing(), errDown) {
			t.Fatalf("works on %v, stood in for by %v: %v", h.using, h.standby, o.Missing())
		}
		if _, err := h.standby.Queue().AddPending(t.Context()); !errors.Is(err, errDown) || h.standby.Kind() != "postgres" {
			t.Errorf("a change meanwhile: %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.using != &a.store || h.came != 1 || o.Missing() != nil {
			t.Errorf("works on %v, told %d times, missing: %v", h.using, h.came, o.Missing())
		}
		if err := h.standby.Facts().PutMeta(t.Context(), "k", "v"); !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("a change of the stand-in: %v", err)
		}
		o.Stop()
	})
}

// An attempt that fails otherwise is told, too, and does not end the attempts.
func TestTheReasonIsTheLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, a := new(opened), &attempts{at: 100, err: errDown}
		o := opening(h, a, heldSince(time.Hour), 0)
		if err := o.First(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.mu.Lock()
		a.err = errors.New("password authentication failed")
		a.mu.Unlock()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if err := o.Missing(); err == nil || !strings.Contains(err.Error(), "password") {
			t.Errorf("missing: %v", err)
		}
		o.Stop()
	})
}

func TestStartsThatAreRefused(t *testing.T) {
	hourOld := func() *disk { return heldSince(time.Hour) }
	for name, c := range map[string]struct {
		err    error        // of the database
		stored func() *disk // made on the test's clock
		maxAge time.Duration
		host   error
		want   string
	}{
		"a mirror that is too old":   {err: errDown, stored: hourOld, maxAge: time.Minute, want: "max_snapshot_age 1m0s"},
		"a mirror that is empty":     {err: errDown, stored: func() *disk { return &disk{} }, want: "there is no local mirror yet"},
		"a mirror that is no JSON":   {err: errDown, stored: func() *disk { return &disk{holds: "{"} }, want: "reading what the local mirror holds"},
		"a mirror that won't load":   {err: errDown, stored: hourOld, host: errors.New("corrupt page"), want: "corrupt page"},
		"no mirror":                  {err: errDown, want: "connection refused"},
		"an error that is no outage": {err: errors.New("newer schema"), stored: hourOld, want: "newer schema"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &opened{err: c.host}
				var stored state.Store
				if c.stored != nil {
					stored = c.stored()
				}
				o := opening(h, &attempts{at: 1000, err: c.err}, stored, c.maxAge)
				if err := o.First(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q in it", err, c.want)
				}
				o.Stop()
				o.CloseStore()
			})
		})
	}
}

// A store that can't be loaded is closed again; a start that is cancelled ends.
func TestAStoreThatIsOfNoUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, a := &opened{err: errors.New("no such table")}, new(attempts)
		o := opening(h, a, nil, 0)
		if err := o.First(t.Context()); err == nil || !strings.Contains(err.Error(), "no such table") || a.store.closed != 1 {
			t.Errorf("%v; closed %d times", err, a.store.closed)
		}
		gone, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		o = opening(new(opened), &attempts{at: 1000, err: errDown}, nil, 0)
		if err := o.First(gone); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a start that is cancelled: %v", err)
		}
	})
}

// An Open that takes longer than it may counts as a store that is out of reach.
func TestAnOpenThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(opened)
		disk := heldSince(time.Minute)
		o := mirror.NewOpening(mirror.OpeningOptions{
			Open: func(ctx context.Context) (state.Store, error) { <-ctx.Done(); return nil, ctx.Err() },
			Host: h, Stored: disk, Mirror: mirror.New(mirror.Options{Store: disk}), Now: time.Now, Log: zap.NewNop(),
		})
		if err := o.First(t.Context()); err != nil || h.standby == nil {
			t.Errorf("%v; stood in for by %v", err, h.standby)
		}
		o.Stop()
	})
}
