package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/fado-project/fado/internal/testenv"
)

// sharedFaults are those of instances that share a database.
var sharedFaults = []fault{
	fadoFault("FaDO paused", func(i *instance, _ *rand.Rand) func() {
		if i.cmd == nil {
			return func() {}
		}
		pid := i.cmd.Process.Pid
		_ = syscall.Kill(pid, syscall.SIGSTOP)
		i.paused = true
		return func() { _ = syscall.Kill(pid, syscall.SIGCONT); i.paused = false }
	}),
	{"database restarted", func(w *world, _ *rand.Rand) func() {
		w.db.Stop()
		return func() { w.must(w.db.Restart(context.Background())) }
	}},
	{"database killed", func(w *world, _ *rand.Rand) func() {
		w.db.Kill()
		return func() { w.must(w.db.Restart(context.Background())) }
	}},
	{"database paused", func(w *world, _ *rand.Rand) func() {
		w.db.Pause()
		return w.db.Resume
	}},
	link("connections to the database cut", func(l *testenv.Proxy) { l.Cut() }),
	link("no way to the database", func(l *testenv.Proxy) { _ = l.Refuse(true); l.Cut() }),
	link("the way to the database hangs", func(l *testenv.Proxy) { l.Hang(true) }),
	link("a slow way to the database", func(l *testenv.Proxy) {
		l.Delay(testenv.Down, 300*time.Millisecond)
	}),
}

// link hits one instance's connections to the database.
func link(name string, do func(*testenv.Proxy)) fault {
	return fault{name, func(w *world, rng *rand.Rand) func() {
		l := w.links[rng.IntN(len(w.links))]
		do(l)
		return l.Heal
	}}
}

// TestChaosShared is TestChaos with two instances on one PostgreSQL.
func TestChaosShared(t *testing.T) {
	s := seed(t)
	rng := rand.New(rand.NewPCG(s, 1))
	w := newWorld(t)
	w.db = testenv.PostgresServer(t)
	name, err := w.db.NewDatabase(t.Context())
	w.must(err)
	w.dbName = name
	for range 2 {
		l, err := testenv.NewProxy(w.db.Addr())
		w.must(err)
		t.Cleanup(l.Close)
		w.links = append(w.links, l)
		dsn, err := url.Parse(w.db.DSN(name))
		w.must(err)
		dsn.Host = l.Addr()
		w.add(fmt.Sprintf("postgres %q", dsn))
	}
	w.run(rng, narrowed(slices.Concat(faults, sharedFaults)), rounds(t, 2))
}
