package caddymodule

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

func awaitReady(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for until := time.Now().Add(3 * time.Minute); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

// TestStartWithoutTheDatabase: without a mirror that is refused with the reason; with one,
// which a reload that changes the store's settings has taken over, it routes by that,
// refuses changes, and goes on with the database when that comes.
func TestStartWithoutTheDatabase(t *testing.T) {
	dsn := testenv.PostgresDatabase(t)
	noLeaks(t)
	at := strings.LastIndex(dsn, "@") + 1
	host := dsn[at : at+strings.Index(dsn[at:], "/")]
	proxy, err := testenv.NewProxy(host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	s := newSite(t)
	s.postgres = strings.Replace(dsn, host, proxy.Addr(), 1)

	refuse := func(on bool) {
		t.Helper()
		if err := proxy.Refuse(on); err != nil {
			t.Fatal(err)
		}
	}
	refuse(true)
	if err := s.config(t).load(); err == nil || !strings.Contains(err.Error(), "opening the store") || !strings.Contains(err.Error(), "no local mirror") {
		t.Fatalf("a start without database and mirror: %v", err)
	}
	refuse(false)

	mustLoad(t, s.config(t))
	first := running(t).Control()
	s.postgres += " {\nmax_conns 7\n}"
	mustLoad(t, s.config(t))
	ctl := running(t).Control()
	if ctl == first {
		t.Fatal("the store's settings did not change")
	}
	ctx := context.Background()
	if _, err := ctl.Resources.Create(ctx, &catalog.Zone{Name: "late"}); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Stop(); err != nil { // writes the mirror, if there is one by now
		t.Fatal(err)
	}

	refuse(true)
	mustLoad(t, s.config(t))
	s.expect(t, "c1")
	ctl = running(t).Control()
	if ctl.Router().Snapshot().Zone("late") == nil {
		t.Error("what was made after the reload is not in the mirror")
	}
	if _, err := ctl.Resources.Create(ctx, &catalog.Zone{Name: "later"}); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("a change without the database: %v", err)
	}
	if ctl.Status.StoreTrouble() == nil {
		t.Error("nothing says that the database is away")
	}
	refuse(false)
	// A first answer may be that it is stored, but that this instance is not among the members yet.
	awaitReady(t, "the database", func() bool {
		_, _, err := ctl.Resources.Replace(ctx, &catalog.Zone{Name: "later"}, control.Precondition{}, nil)
		if err != nil && !errors.Is(err, state.ErrUnavailable) {
			t.Fatal(err)
		}
		return err == nil
	})
	awaitReady(t, "the end of the trouble", func() bool { return ctl.Status.StoreTrouble() == nil })
	s.expect(t, "c1")
	if err := caddy.Stop(); err != nil { // while the database is there
		t.Error(err)
	}
}
