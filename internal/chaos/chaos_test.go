package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/internal/testenv"
)

// rounds is how many rounds of faults a run does: a few, unless it is told.
func rounds(t *testing.T, few int) int {
	t.Helper()
	v := os.Getenv("FADO_CHAOS_ROUNDS")
	if v == "" {
		return few
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("FADO_CHAOS_ROUNDS=%q: expected a number of rounds", v)
	}
	return n
}

// seed makes a run one that can be repeated, as far as the faults go. Without
// FADO_CHAOS_SEED a short run has always the same faults, and a long one others each time.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := uint64(1)
	if os.Getenv("FADO_CHAOS_ROUNDS") != "" {
		s = rand.Uint64()
	}
	if v := os.Getenv("FADO_CHAOS_SEED"); v != "" {
		var err error
		if s, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatalf("FADO_CHAOS_SEED=%q: expected a number", v)
		}
	}
	t.Logf("FADO_CHAOS_SEED=%d", s)
	return s
}

// fault does something bad and returns what ends it.
type fault struct {
	name string
	do   func(w *world, rng *rand.Rand) (heal func())
}

// storageFault hits one of the storages that the bucket is in.
func storageFault(name string, do func(p *place, rng *rand.Rand) (heal func())) fault {
	return fault{name, func(w *world, rng *rand.Rand) func() { return do(w.places[rng.IntN(3)], rng) }}
}

// fadoFault hits one of the instances.
func fadoFault(name string, do func(i *instance, rng *rand.Rand) (heal func())) fault {
	return fault{name, func(w *world, rng *rand.Rand) func() { return do(w.fados[rng.IntN(len(w.fados))], rng) }}
}

// answers has a storage answer some of the requests wrongly.
func answers(name string, f testenv.Fault) fault {
	return storageFault(name, func(p *place, rng *rand.Rand) func() {
		f.Share = 0.05 + 0.9*rng.Float64()
		p.proxy.Set(f)
		return func() { p.proxy.Set(testenv.Fault{}) }
	})
}

var faults = []fault{
	fadoFault("FaDO killed", func(i *instance, _ *rand.Rand) func() { i.kill(); return i.start }),
	fadoFault("FaDO killed twice", func(i *instance, rng *rand.Rand) func() {
		i.kill()
		i.start()
		time.Sleep(time.Duration(rng.IntN(500)) * time.Millisecond)
		i.kill()
		return i.start
	}),
	storageFault("storage killed", func(p *place, _ *rand.Rand) func() {
		p.server.Kill()
		return func() { _ = p.server.Restart(context.Background()) }
	}),
	storageFault("storage paused", func(p *place, _ *rand.Rand) func() {
		p.server.Pause()
		return p.server.Resume
	}),
	answers("500", testenv.Fault{Status: http.StatusInternalServerError, Code: "InternalError"}),
	answers("503", testenv.Fault{Status: http.StatusServiceUnavailable, Code: "SlowDown"}),
	answers("404 for everything", testenv.Fault{Status: http.StatusNotFound, Code: "NoSuchKey"}),
	answers("403", testenv.Fault{Status: http.StatusForbidden, Code: "AccessDenied"}),
	answers("slow", testenv.Fault{Delay: 700 * time.Millisecond}),
	answers("truncated", testenv.Fault{Truncate: true}),
	answers("wrong bytes", testenv.Fault{Corrupt: true}),
	answers("garbage", testenv.Fault{Garbage: true}),
	storageFault("clock off by hours", func(p *place, rng *rand.Rand) func() {
		by := time.Duration(rng.IntN(12)-6) * time.Hour
		// The proxy shifts what was written before, too, which no clock does. At c2, copies
		// keep the time of their originals, and are known by it; the primary, set back, looks
		// as if it were restored from a backup, which is for people to judge.
		switch {
		case p.keepsTimes:
		case p.name == "c1":
			p.ahead += by.Abs()
			p.proxy.Skew(p.ahead)
		default:
			p.proxy.Skew(by)
		}
		return func() {} // it stays so: a clock that jumps back and forth is another one's fault
	}),
	{"c3 forbidden for a while", forbid},
}

// forbid takes a copy's cluster out of the policy, and has the storage watched from the
// answer until it is allowed again, once everything else is healed: that needs an instance
// that answers, and a database.
func forbid(w *world, _ *rand.Rand) func() {
	exclude := func(zones ...string) error {
		_, err := w.running().call(http.MethodPatch, "/fado/policies/p", map[string]any{"exclude_zones": zones})
		return err
	}
	if err := exclude("zc3", "zc4"); err != nil {
		return func() { w.afterwards(func() { w.insist("allowing c3", func() error { return exclude("zc4") }) }) }
	}
	from := time.Now()
	allow := func() {
		for _, wr := range w.places[2].proxy.Writes(from, time.Now()) {
			if wr.Status == http.StatusOK { // the server took it after the answer
				w.Errorf("written in the forbidden c3: %+v, forbidden from %v", wr, from)
			}
		}
		w.insist("allowing c3", func() error { return exclude("zc4") })
	}
	return func() { w.afterwards(allow) }
}

// insist has a call to the API succeed: for a moment there may be no way to the database
// that came back just now.
func (w *world) insist(what string, f func() error) { w.await(what, f) }

// round lets one to three faults happen at once, under writes, heals them, and waits
// until all is in step.
func (w *world) round(n int, rng *rand.Rand, ws *writers, c *checker, faults []fault) {
	chosen := rng.Perm(len(faults))[:min(1+rng.IntN(3), len(faults))]
	names := make([]string, len(chosen))
	for i, c := range chosen {
		names[i] = faults[c].name
	}
	w.Logf("round %d: %s", n, strings.Join(names, ", "))
	ws.run()
	c.run()
	defer c.stop()
	time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
	var heals []func()
	for _, c := range chosen {
		heals = append(heals, faults[c].do(w, rng))
		time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
	}
	time.Sleep(time.Duration(200+rng.IntN(1500)) * time.Millisecond)
	// What was done last ends first: a storage is up before FaDO is started on it, or not.
	for i := range heals {
		heals[len(heals)-1-i]()
	}
	for _, f := range w.later {
		f()
	}
	w.later = nil
	want := ws.stop()
	w.settled(want)
}

// status is what of a bucket's status says that all is in step.
type status struct {
	Status struct {
		State, Reason string
		Copies        []struct {
			Cluster, State, Error string
			Pending               struct{ Objects int64 }
		}
	}
}

// settled waits until FaDO says that all copies are in step, and holds it to that: a
// scan that begins now must find nothing, and the contents must be those acknowledged.
func (w *world) settled(want map[string]string) {
	w.Helper()
	w.await("all storages equal to what was acknowledged", func() error {
		for _, i := range w.fados {
			if err := i.inStep(); err != nil {
				return err
			}
		}
		for _, p := range w.places[:3] {
			got, err := p.contents(context.Background())
			if err != nil {
				return err
			}
			if err := p.differ(got, want); err != nil {
				if p == w.places[0] {
					w.Fatalf("the primary's storage lost or got something: %v", err)
				}
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		return nil
	})
	if forbidden, err := w.places[3].contents(context.Background()); err != nil || forbidden != nil {
		w.Fatalf("the forbidden c4 has %v (%v)", forbidden, err)
	}
	if ws := w.places[3].proxy.Writes(time.Time{}, time.Now()); len(ws) > 0 {
		w.Fatalf("written in the forbidden c4: %v", ws)
	}
}

func (i *instance) inStep() error {
	body, err := i.call(http.MethodGet, "/fado/buckets/"+bucket, nil)
	if err != nil {
		return err
	}
	var s status
	if err := json.Unmarshal(body, &s); err != nil {
		return err
	}
	if s.Status.State != "ok" || len(s.Status.Copies) != 3 {
		return fmt.Errorf("the bucket is %s", body)
	}
	for _, c := range s.Status.Copies {
		if c.State != "synced" || c.Pending.Objects > 0 {
			return fmt.Errorf("the bucket is %s", body)
		}
	}
	return nil
}

// differ names up to three keys in which a storage is not as it should be.
func (p *place) differ(got, want map[string]string) error {
	var bad []string
	for k, v := range want {
		if there, ok := got[k]; !ok || !p.same(there, v) {
			bad = append(bad, fmt.Sprintf("%s is %.8q, expected %.8q", k, got[k], v))
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			bad = append(bad, k+" is there and should not be")
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return fmt.Errorf("%d keys differ: %s", len(bad), strings.Join(bad[:min(3, len(bad))], "; "))
}

// narrowed leaves the faults that have one of FADO_CHAOS_ONLY, divided by commas, in their
// names.
func narrowed(faults []fault) []fault {
	only := strings.Split(os.Getenv("FADO_CHAOS_ONLY"), ",")
	return slices.DeleteFunc(slices.Clone(faults), func(f fault) bool {
		return !slices.ContainsFunc(only, func(o string) bool { return strings.Contains(f.name, o) })
	})
}

// TestChaos is described in the package comment.
func TestChaos(t *testing.T) {
	s := seed(t)
	rng := rand.New(rand.NewPCG(s, 0))
	w := newWorld(t)
	w.add("sqlite " + filepath.Join(t.TempDir(), "fado.db"))
	w.run(rng, narrowed(faults), rounds(t, 4))
}

// run does the rounds.
func (w *world) run(rng *rand.Rand, faults []fault, rounds int) {
	w.declare()
	ws := newWriters(w.places[0], 3, rng.Uint64())
	c := newChecker(w, ws, 1)
	defer func() { w.Logf("%d hits were checked", c.hits) }()
	for n := range rounds {
		w.round(n, rng, ws, c, faults)
		if w.Failed() {
			w.FailNow()
		}
	}
}
