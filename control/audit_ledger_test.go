package control_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// counted returns what is on record of a kind, by what it says, as {times, count}.
func counted(t *testing.T, s state.Store, kind audit.Kind) (records int, count int64) {
	t.Helper()
	for _, r := range recorded(t, s) {
		var b struct {
			Event          string
			Count, Objects int64
		}
		if err := json.Unmarshal(r.Body, &b); err != nil {
			t.Fatal(err)
		}
		if r.Kind == kind && (kind != audit.Copy || b.Event == string(audit.Carried)) {
			records, count = records+1, count+b.Count+b.Objects
		}
	}
	return records, count
}

// invoke decides an invocation that names an object of photos and counts it.
func invoke(t *testing.T, c *control.Control, want routing.Reason) {
	t.Helper()
	q := routing.Query{Inputs: []routing.Input{{Bucket: "photos", Key: "k", Scope: routing.ScopeObject}}}
	var d routing.Decision
	c.Router().Route(&q, &d)
	if d.Reason != want {
		t.Fatalf("decided %q, want %q", d.Reason, want)
	}
	if d.Reason == routing.ReasonNone {
		c.Router().Ledger.Invoked(&d, d.Candidates[0])
	} else {
		c.Router().Ledger.RefusedBy(&d)
	}
}

// Invocations, refusals, and objects carried are on record after a flush, once, by the policy that
// was in force when they were counted, on both stores; what the store does not take waits.
func TestCountsAreOnRecord(t *testing.T) {
	t.Parallel()
	for kind, name := range map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "fado.db"), "postgres": testenv.PostgresDatabase(t)} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := storeOf(t, name)
			c := audited(t, s, control.Config{
				Here: "c1", Zones: []*catalog.Zone{{Name: "eu"}}, Clusters: []*catalog.Cluster{cluster("c1", "eu"), cluster("c2", "eu")}, Buckets: []*catalog.Bucket{{Name: "photos", Policy: "p", Primary: "c1"}},
				Policies: []*catalog.Policy{{Name: "p", Clusters: []string{"c1", "c2"}}, {Name: "none", Clusters: []string{"c2"}}},
			}, nil)
			setCopies(t, c, "photos", copyOf("c1", true, catalog.CopySynced))
			flush := func() {
				t.Helper()
				if err := c.Audits.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			check := func(kind audit.Kind, records int, count int64) {
				t.Helper()
				if n, of := counted(t, s, kind); n != records || of != count {
					t.Errorf("%s: %d records of %d, want %d of %d", kind, n, of, records, count)
				}
			}
			flush() // nothing
			check(audit.Invocations, 0, 0)
			for range 3 {
				invoke(t, c, routing.ReasonNone)
			}
			c.Router().Ledger.Carried(c.Router().Snapshot(), "photos", "k", "c1", "c2", 5)
			c.Router().Ledger.Refused(c.Router().Snapshot(), "photos", "k", "c3")
			check(audit.Invocations, 0, 0) // a crash now loses them, and breaks nothing
			flush()
			flush()
			check(audit.Invocations, 1, 3)
			check(audit.Copy, 1, 1)
			check(audit.Refused, 1, 1)
			// The policy changes between the count and the record.
			invoke(t, c, routing.ReasonNone)
			c.Router().Ledger.Carried(c.Router().Snapshot(), "photos", "k", "c1", "c2", 5)
			cfg := control.Config{
				Here: "c1", AuditKeep: 1e15, Zones: []*catalog.Zone{{Name: "eu"}}, Clusters: []*catalog.Cluster{cluster("c1", "eu"), cluster("c2", "eu")},
				Buckets: []*catalog.Bucket{{Name: "photos", Policy: "p", Primary: "c1"}}, Policies: []*catalog.Policy{{Name: "p", Clusters: []string{"c1"}}},
			}
			if _, err := c.Attach(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			invoke(t, c, routing.ReasonNone)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := c.Audits.Flush(ctx); err == nil {
				t.Error("on record without a transaction")
			}
			c.Audits.Run(ctx) // which flushes at its end
			check(audit.Invocations, 3, 5)
			check(audit.Copy, 2, 2)
		})
	}
}

// A configuration that says that this instance is in a cluster which nobody declares is refused,
// and names it.
func TestUnknownClusterOfInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.Attach(t.Context(), control.Config{Here: "atlantis"})
	if err == nil || err.Error() != `node: cluster: "atlantis": expected a cluster that is declared, here or through the API` {
		t.Errorf("%v", err)
	}
	own := control.Config{Here: "own", Clusters: []*catalog.Cluster{{Name: "own", Zones: []string{"own"}}}, Zones: []*catalog.Zone{{Name: "own"}}}
	for _, cfg := range []control.Config{{Here: "c1"}, own} {
		if _, err := w.Attach(t.Context(), cfg); err != nil || w.Router().Snapshot().Here() != cfg.Here {
			t.Errorf("%v, in %q", err, w.Router().Snapshot().Here())
		}
	}
	if _, err := w.Attach(t.Context(), control.Config{Here: "own"}); err == nil {
		t.Error("a cluster that the configuration declares no more is known")
	}
}
