package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// audited starts a Control that keeps audit records.
func audited(t testing.TB, s state.Store, cfg control.Config, now func() time.Time) *control.Control {
	t.Helper()
	c, err := control.New(control.Options{Store: s, Node: "n1", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	cfg.AuditKeep = 24 * time.Hour
	if _, err := c.Attach(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	return c
}

// recorded returns all records, which must be a whole chain in which every copy was allowed.
func recorded(t rapid.TB, s state.Store) []audit.Record {
	t.Helper()
	all, err := s.Audits().AuditRecords(context.Background(), state.AuditFilter{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, r := range all {
		line, _ := json.Marshal(r)
		text.Write(append(line, '\n'))
	}
	head, err := s.Audits().AuditHead(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if head == (audit.Head{}) && len(all) == 0 {
		return nil // a chain that has not begun is right, and an export of it none that proves something
	}
	report, err := audit.Verify(&text, head, nil)
	if err != nil || len(report.Problems) > 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	return all
}

func retold(records []audit.Record) (lines []string) {
	for _, r := range records {
		var b struct {
			Resource, Name, Action, Policy, Event, Bucket, From, To string
			Clusters                                                []string
		}
		_ = json.Unmarshal(r.Body, &b)
		words := []string{r.Actor + ":", string(r.Kind)}
		for _, w := range []string{b.Resource, b.Name, b.Action, b.Event, b.Bucket, b.From, b.To, b.Policy, strings.Join(b.Clusters, ",")} {
			if w != "" {
				words = append(words, w)
			}
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines
}

// A life of a bucket, as the audit tells it, on both stores.
func TestAuditTellsALife(t *testing.T) {
	t.Parallel()
	for kind, name := range map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "fado.db"), "postgres": testenv.PostgresDatabase(t)} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := storeOf(t, name)
			c := audited(t, s, control.Config{Zones: []*catalog.Zone{{Name: "eu"}}}, nil)
			ctx := control.WithActor(t.Context(), "admin ::1")
			put := func(r catalog.Resource) {
				t.Helper()
				if _, _, err := c.Resources.Replace(ctx, r, control.Precondition{}, nil); err != nil {
					t.Fatal(err)
				}
			}
			for _, cl := range []string{"c1", "c2"} {
				put(&catalog.Cluster{Name: cl, Zones: []string{"eu"}, Storage: &catalog.Storage{Endpoint: "http://" + cl + ".test", AccessKey: "a", SecretKey: "hidden"}})
			}
			put(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}})
			put(&catalog.Bucket{Name: "photos", Policy: "p"})
			put(&catalog.Bucket{Name: "photos", Policy: "p"}) // changes nothing
			for _, st := range []catalog.CopyState{catalog.CopyWaiting, catalog.CopySyncing, catalog.CopySynced, catalog.CopyDraining, catalog.CopyRemoving} {
				setCopies(t, c, "photos", copyOf("c1", true, catalog.CopySynced), copyOf("c2", false, st))
			}
			setCopies(t, c, "photos", copyOf("c1", true, catalog.CopySynced))
			put(&catalog.Policy{Name: "p", Clusters: []string{"c1"}})
			if err := c.Resources.Delete(ctx, catalog.KindBucket, "photos", control.Precondition{}); err != nil {
				t.Fatal(err)
			}
			if err := c.Resources.Delete(ctx, catalog.KindBucket, "photos", control.Precondition{}); err == nil {
				t.Fatal("it was deleted twice")
			}
			records := recorded(t, s)
			want := []string{
				"admin ::1: change cluster c1 created", "admin ::1: allowed default c1",
				"admin ::1: change cluster c2 created", "admin ::1: allowed default c1,c2",
				"admin ::1: change policy p created", "admin ::1: allowed p c1,c2",
				"admin ::1: change bucket photos created",
				"fado: copy created photos c1 c2 p", "fado: copy synced photos c1 c2 p", "fado: copy left photos c2 p", "fado: copy removed photos c2 p",
				"admin ::1: change policy p changed", "admin ::1: allowed p c1",
				"admin ::1: change bucket photos deleted",
			}
			if got := retold(records); !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			for _, r := range records {
				if strings.Contains(string(r.Body), "hidden") {
					t.Errorf("a secret in %s", r.Body)
				}
			}
		})
	}
}

// A change is on record with the fields that changed, and without secrets, old ones and new ones.
func TestAuditTellsWhatChanged(t *testing.T) {
	t.Parallel()
	s := storeOf(t, "sqlite:"+filepath.Join(t.TempDir(), "fado.db"))
	c := audited(t, s, control.Config{Zones: []*catalog.Zone{{Name: "eu"}}}, nil)
	cluster := func(endpoint, secret string) *catalog.Cluster {
		return &catalog.Cluster{Name: "c1", Zones: []string{"eu"}, Storage: &catalog.Storage{Endpoint: endpoint, AccessKey: "a", SecretKey: secret}}
	}
	calls := cluster("http://two.test", "hidden as well")
	calls.Functions = []catalog.Function{{
		URL: "http://f.test", Header: []catalog.HeaderField{{Name: "Authorization", Value: "hidden"}, {Name: "X-Token", Value: "{env.T}"}},
		Sign: &catalog.Sign{Type: catalog.SignAWS, Service: "lambda", Region: "r", AccessKey: "id", SecretKey: "hidden", SessionToken: "hidden"},
	}}
	for _, r := range []catalog.Resource{
		cluster("http://one.test", "hidden"), cluster("http://two.test", "hidden"), cluster("http://two.test", "hidden as well"), calls,
		&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}}, &catalog.Policy{Name: "p", Copies: catalog.Copies{N: 1}, Zones: []string{"eu"}},
	} {
		if _, _, err := c.Resources.Replace(t.Context(), r, control.Precondition{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	for _, r := range recorded(t, s) {
		if strings.Contains(string(r.Body), "hidden") {
			t.Errorf("a secret in %s", r.Body)
		}
		var b audit.ChangeBody
		if err := json.Unmarshal(r.Body, &b); err != nil {
			t.Fatal(err)
		}
		if r.Kind == audit.Change {
			told = append(told, fmt.Sprint(b.Name, " ", b.Action, b.Diff))
		}
	}
	want := []string{
		"c1 created[]", `c1 changed[{storage.endpoint "http://one.test" "http://two.test"}]`, "c1 changed[]",
		`c1 changed[{functions [] [{"url":"http://f.test","weight":1,"header":[{"name":"Authorization","value":""},{"name":"X-Token","value":"{env.T}"}],` +
			`"sign":{"type":"aws","service":"lambda","region":"r","access_key":"id","secret_key":""}}]}]`,
		"p created[]", `p changed[{copies 2 1} {zones [] ["eu"]}]`,
	}
	if !slices.Equal(told, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}

func copyOf(cluster string, primary bool, st catalog.CopyState) state.Copy {
	return state.Copy{Copy: catalog.Copy{Cluster: cluster, Primary: primary, State: st}}
}

func setCopies(t testing.TB, c *control.Control, bucket string, rows ...state.Copy) {
	t.Helper()
	for i := range rows {
		rows[i].Bucket = bucket
	}
	err := c.Copies.Update(context.Background(), bucket, func([]state.Copy) ([]state.Copy, error) { return rows, nil })
	if err != nil {
		t.Fatal(err)
	}
}

// What a configuration allows is recorded before it is in force, and again when the former
// one returns.
func TestAuditOfConfigurations(t *testing.T) {
	t.Parallel()
	s := storeOf(t, "sqlite:"+filepath.Join(t.TempDir(), "fado.db"))
	cfg := func(clusters ...string) control.Config {
		c := control.Config{Zones: []*catalog.Zone{{Name: "eu"}}, AuditKeep: time.Hour}
		for _, name := range clusters {
			c.Clusters = append(c.Clusters, &catalog.Cluster{Name: name, Zones: []string{"eu"}, Storage: &catalog.Storage{Endpoint: "http://" + name + ".test"}})
		}
		return c
	}
	c := audited(t, s, cfg("c1"), nil)
	second, err := c.Attach(t.Context(), cfg("c1", "c2"))
	if err != nil {
		t.Fatal(err)
	}
	second.Detach()
	third, err := c.Attach(t.Context(), cfg("c1"))
	if err != nil {
		t.Fatal(err)
	}
	third.Detach()
	want := []string{"configuration: allowed default c1", "configuration: allowed default c1,c2", "configuration: allowed default c1"}
	if got := retold(recorded(t, s)); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Checkpoints come when they are due, and old records go up to one of them.
func TestAuditIsLookedAfter(t *testing.T) {
	t.Parallel()
	s := storeOf(t, "sqlite:"+filepath.Join(t.TempDir(), "fado.db"))
	clock := time.Now()
	c := audited(t, s, control.Config{}, func() time.Time { return clock })
	step := func(after time.Duration, want int) {
		t.Helper()
		clock = clock.Add(after)
		if err := c.Audits.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(recorded(t, s)); n != want {
			t.Errorf("%d records, want %d", n, want)
		}
	}
	zone := func(name string) {
		t.Helper()
		if _, err := c.Resources.Create(t.Context(), &catalog.Zone{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	step(0, 0) // none yet
	zone("z1")
	step(time.Minute, 2) // the first checkpoint
	step(time.Hour, 2)   // nothing new
	zone("z2")
	step(time.Minute, 4) // an hour has passed
	zone("z3")
	step(time.Minute, 5)  // it has not
	step(23*time.Hour, 5) // another one; what is before the first goes
	step(25*time.Hour, 1) // that one is the root now
	zone("z4")
	step(100*time.Hour, 3) // a new one is too young to be the root
	step(25*time.Hour, 1)
}

// There is a record for every change and none without, whatever is tried.
func TestEveryChangeHasItsRecord(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := storeOf(t, "sqlite:"+filepath.Join(t.TempDir(), fmt.Sprint(rapid.Uint64().Draw(rt, "file"))+".db"))
		c := audited(t, s, control.Config{}, nil)
		changes, ctx := 0, context.Background()
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			before, _ := s.Catalogue().Revision(ctx)
			name := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "name")
			switch rapid.IntRange(0, 6).Draw(rt, "step") {
			case 4: // keys have no revision
				if _, err := c.Resources.Create(ctx, &catalog.Key{Name: "key-" + name, Secret: "a secret of a test"}); err == nil {
					changes++
				}
				continue
			case 5:
				if c.Resources.Delete(ctx, catalog.KindKey, "key-"+name, control.Precondition{}) == nil {
					changes++
				}
				continue
			case 6: // a batch, all of it or nothing
				b := control.Batch{Puts: []catalog.Resource{&catalog.Zone{Name: "of-batches", Labels: map[string]string{"by": name}}, &catalog.Policy{Name: "of-batches"}}}
				if c.Router().Snapshot().Zone(name) != nil {
					b.Deletes = []state.Ref{{Kind: catalog.KindZone, Name: name}} // refused while it is referred to
				}
				if apply(ctx, c, b) == nil {
					changes += len(b.Puts) + len(b.Deletes)
				}
				continue
			case 0:
				_, _, _ = c.Resources.Replace(ctx, &catalog.Zone{Name: name, Parent: rapid.SampledFrom([]string{"", "a", "b", "none"}).Draw(rt, "parent")}, control.Precondition{}, nil)
			case 1:
				_ = c.Resources.Delete(ctx, catalog.KindZone, name, control.Precondition{})
			case 2:
				_, _, _ = c.Resources.Replace(ctx, &catalog.Policy{Name: name, Zones: []string{name}}, control.Precondition{}, nil)
			case 3:
				_, _, _ = c.Resources.Replace(ctx, &catalog.Bucket{Name: "bucket-" + name, Policy: name}, control.Precondition{}, nil)
			}
			if after, _ := s.Catalogue().Revision(ctx); after != before {
				changes++
			}
		}
		n := 0
		for _, r := range recorded(rt, s) {
			if r.Kind == audit.Change {
				n++
			}
		}
		if n != changes {
			rt.Fatalf("%d changes have %d records", changes, n)
		}
		c.Close()
		_ = s.Close()
	})
}

// What the records cost: buckets changed with and without them.
func BenchmarkChange(b *testing.B) {
	for _, keep := range []time.Duration{0, time.Hour} {
		b.Run(fmt.Sprint("audit ", keep > 0), func(b *testing.B) {
			s := storeOf(b, "sqlite:"+filepath.Join(b.TempDir(), "fado.db"))
			c, err := control.New(control.Options{Store: s, Node: "n1"})
			if err == nil {
				err = c.Start(b.Context())
			}
			if err == nil {
				_, err = c.Attach(b.Context(), control.Config{AuditKeep: keep})
			}
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(c.Close)
			for i := 0; b.Loop(); i++ {
				if _, err := c.Resources.Create(b.Context(), &catalog.Bucket{Name: fmt.Sprint("bucket-", i)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Checkpoints are signed where there is a key, and only then.
func TestCheckpointsAreSigned(t *testing.T) {
	t.Parallel()
	private, public, err := audit.NewKey("fado.test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := audit.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := audit.ParseKeys(public)
	if err != nil {
		t.Fatal(err)
	}
	s := storeOf(t, "sqlite:"+filepath.Join(t.TempDir(), "fado.db"))
	c := audited(t, s, control.Config{Zones: []*catalog.Zone{{Name: "eu"}}}, nil)
	for range 2 {
		if err := c.Audits.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Attach(t.Context(), control.Config{AuditKeep: time.Hour, AuditSigner: signer}); err != nil {
			t.Fatal(err)
		}
	}
	var text bytes.Buffer
	all := recorded(t, s)
	for _, r := range all {
		line, _ := json.Marshal(r)
		text.Write(append(line, '\n'))
	}
	r, err := audit.Verify(&text, audit.Head{}, keys)
	if err != nil || len(r.Problems) > 0 || r.Signed != all[len(all)-1].Seq || strings.Contains(string(all[len(all)-2].Body), "note") {
		t.Errorf("%+v, %v", r, err)
	}
}

// What people had done is on record with who, how and from where, on both stores, and is found by its bucket. A
// change has the address, too.
func TestAuditTellsWhatPeopleHadDone(t *testing.T) {
	t.Parallel()
	for kind, name := range map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "fado.db"), "postgres": testenv.PostgresDatabase(t)} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := storeOf(t, name)
			c := audited(t, s, control.Config{}, nil)
			ctx := audit.WithCaller(t.Context(), audit.Caller{Who: "console ada", Role: "operator", How: "token", Address: "192.0.2.1", Request: "r1"})
			for _, b := range []audit.ActionBody{
				{Action: "confirm-deletes", Resource: "bucket", Name: "photos", State: audit.ActionBegun},
				{Action: "pause-replication", State: audit.ActionDone},
			} {
				if err := c.Audits.Acted(ctx, b); err != nil {
					t.Fatal(err)
				}
			}
			if _, _, err := c.Resources.Replace(ctx, &catalog.Zone{Name: "eu"}, control.Precondition{}, nil); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range recorded(t, s) {
				got = append(got, r.Actor+" "+string(r.Kind)+" "+string(r.Body))
			}
			const by = `"request":"r1"`
			for i, want := range []string{
				`console ada action {"action":"confirm-deletes","address":"192.0.2.1","how":"token","name":"photos",` + by + `,"resource":"bucket","role":"operator","state":"begun"}`,
				`console ada action {"action":"pause-replication","address":"192.0.2.1","how":"token",` + by + `,"role":"operator","state":"done"}`,
				`console ada change {"action":"created","address":"192.0.2.1","after":"`,
			} {
				if len(got) != 3 || !strings.HasPrefix(got[i], want) {
					t.Fatalf("%q, want %s", got, want)
				}
			}
			of, err := s.Audits().AuditRecords(t.Context(), state.AuditFilter{Subject: control.AuditSubject(catalog.KindBucket, "photos")}, 0)
			if err != nil || len(of) != 1 {
				t.Errorf("of the bucket: %v, %v", of, err)
			}
		})
	}
}
