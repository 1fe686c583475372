package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// Every object that is about to be copied on demand is on record when that is said to be so,
// and none where its policy does not allow it.
func TestPullsAreOnRecord(t *testing.T) {
	t.Parallel()
	for kind, name := range map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "fado.db"), "postgres": testenv.PostgresDatabase(t)} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := storeOf(t, name)
			c := audited(t, s, pullConfig(), nil)
			const callers, each = 20, 25
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					for k := range each {
						key, want := fmt.Sprint(k), "" // the rule that the key belongs to
						if k%5 == 0 {
							key, want = fmt.Sprint("p/", k), "p/"
						}
						if err := c.Audits.Pulling(t.Context(), "photos", key, "c1", "c2", 10); err != nil {
							t.Error(err)
						}
						if i == 0 {
							if n, _ := pulledOf(t, s, want); n == 0 {
								t.Errorf("key %s: the caller goes on, and nothing is on record", key)
							}
						}
					}
				})
			}
			wg.Wait()
			if err := c.Audits.Pulling(t.Context(), "photos", "k", "c1", "c3", 10); err == nil {
				t.Error("an object goes where its policy does not allow it")
			}
			objects, bytes := pulledOf(t, s, "")
			below, belowBytes := pulledOf(t, s, "p/")
			if objects != callers*each*4/5 || bytes != 10*objects || below != callers*each/5 || belowBytes != 10*below {
				t.Errorf("on record are %d objects with %d bytes, and %d with %d", objects, bytes, below, belowBytes)
			}
			recorded(t, s)
			if kind != "sqlite" {
				return
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := c.Audits.Pulling(t.Context(), "photos", "k", "c1", "c2", 10); err == nil {
				t.Error("an object may be copied that can't be put on record")
			}
		})
	}
}

// Objects whose copying is asked for while a transaction is under way share the next one, and a
// record of it for each rule.
func TestPullsShareARecord(t *testing.T) {
	t.Parallel()
	calls := &hangs{}
	s := storeOf(t, "sqlite:"+filepath.Join(t.TempDir(), "fado.db"))
	c := audited(t, hangingStore{Store: s, hangs: calls}, pullConfig(), nil)
	before := len(recorded(t, s))
	held := calls.hold(beforeCommit)
	var wg sync.WaitGroup
	pull := func(ctx context.Context, key string) {
		wg.Go(func() {
			if err := c.Audits.Pulling(ctx, "photos", key, "c1", "c2", 10); err != nil {
				t.Error(err)
			}
		})
	}
	pull(t.Context(), "first")
	<-held.begun
	waits := make(chan struct{})
	for i := range 20 {
		pull(waiting{t.Context(), waits}, fmt.Sprint(i))
		pull(waiting{t.Context(), waits}, fmt.Sprint("p/", i))
	}
	for range 40 {
		<-waits
	}
	held.release()
	wg.Wait()
	if n := len(recorded(t, s)) - before; n != 3 {
		t.Errorf("%d records for an object, and for 40 below two prefixes at once; want 1 and 2", n)
	}
	if objects, _ := pulledOf(t, s, ""); objects != 21 {
		t.Errorf("on record are %d objects, want 21", objects)
	}
}

// waiting is a context that tells when its end is waited for.
type waiting struct {
	context.Context
	waits chan<- struct{}
}

func (w waiting) Done() <-chan struct{} {
	w.waits <- struct{}{}
	return w.Context.Done()
}

// pullConfig declares a bucket whose objects may be pulled to c2, and not to c3.
func pullConfig() control.Config {
	cluster := func(name string) *catalog.Cluster {
		return &catalog.Cluster{Name: name, Zones: []string{"eu"}, Storage: &catalog.Storage{Endpoint: "http://" + name + ".test"}}
	}
	return control.Config{
		Zones: []*catalog.Zone{{Name: "eu"}}, Clusters: []*catalog.Cluster{cluster("c1"), cluster("c2"), cluster("c3")},
		Policies: []*catalog.Policy{{Name: "p", Clusters: []string{"c1", "c2"}}},
		Buckets:  []*catalog.Bucket{{Name: "photos", Policy: "p", Primary: "c1", Prefixes: []catalog.PrefixRule{{Prefix: "p/", Policy: "p"}}}},
	}
}

// pulledOf sums what is on record of a rule.
func pulledOf(t *testing.T, s state.Store, prefix string) (objects, bytes int64) {
	t.Helper()
	all, err := s.Audits().AuditRecords(t.Context(), state.AuditFilter{Kind: audit.Pull, Subject: control.AuditSubject(catalog.KindBucket, "photos")}, 0)
	if err != nil {
		t.Error(err)
	}
	for _, r := range all {
		var b audit.PullBody
		if err := json.Unmarshal(r.Body, &b); err != nil {
			t.Error(err)
		}
		if b.Prefix == prefix {
			objects, bytes = objects+b.Objects, bytes+b.Bytes
		}
		if b.From != "c1" || b.To != "c2" || b.Via != "n1" || b.Policy != "p" || b.Digest == "" {
			t.Errorf("%+v", b)
		}
	}
	return objects, bytes
}

// What it costs to be on record, by how many objects are copied at a time.
func BenchmarkPulling(b *testing.B) {
	for _, audit := range []string{"on", "off"} {
		b.Run(audit, func(b *testing.B) {
			s := storeOf(b, "sqlite:"+filepath.Join(b.TempDir(), "fado.db"))
			cfg := pullConfig()
			c := audited(b, s, cfg, nil)
			if audit == "off" {
				if _, err := c.Attach(b.Context(), cfg); err != nil {
					b.Fatal(err)
				}
			}
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					row := state.Pulled{Bucket: "photos", Key: fmt.Sprint(i), Cluster: "c2", Size: 10}
					if err := errors.Join(c.Pulled.Put(b.Context(), row), c.Audits.Pulling(b.Context(), "photos", "k", "c1", "c2", 10), c.Pulled.Put(b.Context(), row)); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
