package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// gather returns a metric family of the running configuration.
func gather(t testing.TB, name string) []*dto.Metric {
	t.Helper()
	ctx := running(t).ctx
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()
		}
	}
	return nil
}

// counted sums a counter over its labels.
func counted(t testing.TB, name string) (sum float64) {
	t.Helper()
	for _, m := range gather(t, name) {
		sum += m.GetCounter().GetValue()
	}
	return sum
}

func labels(m *dto.Metric) string {
	var parts []string
	for _, l := range m.GetLabel() {
		parts = append(parts, l.GetName()+"="+l.GetValue())
	}
	return strings.Join(parts, ",")
}

func TestMetrics(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	mustLoad(t, s.config(t))
	app := running(t)
	for _, name := range []string{"route_decisions_total", "route_rejections_total", "replication_lag_seconds"} {
		if gather(t, "caddy_fado_"+name) == nil {
			t.Errorf("caddy_fado_%s is missing", name)
		}
	}
	before := counted(t, "caddy_fado_route_rejections_total")
	app.Invocations().CountRejection(routing.ReasonNoBucket)
	app.Invocations().CountRejection("never heard of") // makes no label
	counters.Replicated("c1", 10)
	counters.Failed("c1", "unavailable")
	counters.Lag(time.Second)
	mustLoad(t, s.config(t))
	if got := counted(t, "caddy_fado_route_rejections_total"); got != before+1 {
		t.Errorf("%v rejections after a reload, expected %v", got, before+1)
	}

	// A counter that an alert takes the increase of is there before it counts.
	gather(t, "caddy_fado_buckets")
	for _, c := range []string{"c1", "c2"} {
		if !slices.ContainsFunc(gather(t, "caddy_fado_verify_mismatches_total"), func(m *dto.Metric) bool { return labels(m) == "cluster="+c }) {
			t.Errorf("caddy_fado_verify_mismatches_total has no series of %s", c)
		}
	}

	up := gather(t, "caddy_fado_function_up")
	if len(up) != 2 || labels(up[0]) != "cluster=c1,url="+s.c1 || up[0].GetGauge().GetValue() != 1 {
		t.Errorf("function_up: %v", up)
	}
	if m := gather(t, "caddy_fado_storage_up"); m != nil {
		t.Errorf("storage_up of a storage nobody asked: %v", m)
	}
	running(t).Router().Snapshot().ClusterState("c2").SetStorage(routing.StorageDown)
	if m := gather(t, "caddy_fado_storage_up"); len(m) != 1 || labels(m[0]) != "cluster=c2" || m[0].GetGauge().GetValue() != 0 {
		t.Errorf("storage_up: %v", m)
	}
}

func TestPendingGauges(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	mustLoad(t, s.config(t))
	c := running(t).Control()
	row := state.Pending{Bucket: "shared", Key: "k", Cluster: "c2", Size: 7, Since: time.Now().Add(-time.Hour)}
	if err := c.Pending.Add(context.Background(), row); err != nil {
		t.Fatal(err)
	}
	objects := gather(t, "caddy_fado_pending_objects")
	if len(objects) != 1 || labels(objects[0]) != "bucket=shared,cluster=c2" || objects[0].GetGauge().GetValue() != 1 {
		t.Errorf("pending_objects: %v", objects)
	}
	if m := gather(t, "caddy_fado_pending_bytes"); len(m) != 1 || m[0].GetGauge().GetValue() != 7 {
		t.Errorf("pending_bytes: %v", m)
	}
	if m := gather(t, "caddy_fado_pending_oldest_seconds"); len(m) != 1 || m[0].GetGauge().GetValue() < 3599 {
		t.Errorf("pending_oldest_seconds: %v", m)
	}
}

// fakeBacklogs answers with what a test says.
type fakeBacklogs struct {
	rows  []state.Backlog
	err   error
	asked int
}

func (f *fakeBacklogs) Backlogs(context.Context, ...string) ([]state.Backlog, error) {
	f.asked++
	return f.rows, f.err
}

func TestBacklogCache(t *testing.T) {
	store := &fakeBacklogs{rows: []state.Backlog{{Bucket: "a", Cluster: "c", Objects: 3}}}
	cache := &backlogCache{read: func(ctx context.Context, bucket string) ([]state.Backlog, error) { return store.Backlogs(ctx, bucket) }}
	expire := func() { cache.asked = time.Time{} }
	cache.get(t.Context())
	if got := cache.get(t.Context()); len(got) != 1 || got[0].Objects != 3 || store.asked != 1 {
		t.Errorf("got %v after %d queries", got, store.asked)
	}
	store.rows = []state.Backlog{{Bucket: "b", Cluster: "c", Objects: 1}}
	expire()
	if got := cache.get(t.Context()); len(got) != 2 || got[0].Bucket != "b" || got[1].Bucket != "a" || got[1].Objects != 0 {
		t.Errorf("a pair that was shown is to fall to 0: %v", got)
	}
	store.rows, store.err = nil, errors.New("down")
	expire()
	if got := cache.get(t.Context()); len(got) != 2 {
		t.Errorf("with the store down the former figures are to stay: %v", got)
	}
	many := make([]state.Backlog, maxBacklogSeries+5)
	for i := range many {
		many[i] = state.Backlog{Bucket: string(rune(i + 1000)), Objects: int64(i)}
	}
	if got := withZeros(many, nil); len(got) != maxBacklogSeries || got[0].Objects != int64(len(many)-1) {
		t.Errorf("%d series, the first with %d objects", len(got), got[0].Objects)
	}
}

// awaitEvent returns the next event the recorder gets that a test sent; others are
// FaDO's own.
func awaitEvent(t *testing.T) caddy.Event {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case e := <-recorded:
			if cluster, _ := e.Data["cluster"].(string); strings.HasPrefix(cluster, "test") || e.Data["bucket"] == "test" {
				return e
			}
		case <-timeout:
			t.Fatal("no event came")
		}
	}
}

func TestCaddyEvents(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	c := s.config(t)
	c.app("events")["subscriptions"] = []any{map[string]any{
		"events":   []string{eventCopySynced, eventCopyFailed, eventStorageDown, eventStorageUp, eventBucketStuck},
		"modules":  []string{appName},
		"handlers": []any{map[string]any{"handler": "fado_test_recorder"}},
	}}
	mustLoad(t, c)
	bus := running(t).Control().Events()
	for _, test := range []struct {
		sent control.Event
		name string
		data map[string]any
	}{
		{control.Event{Type: control.EventCopy, Bucket: "test", Prefix: "p/", Cluster: "test", State: "synced"}, "fado_copy_synced", map[string]any{"bucket": "test", "prefix": "p/", "cluster": "test"}},
		{control.Event{Type: control.EventCopy, Bucket: "test", Cluster: "test", State: "failed", Reason: "full"}, "fado_copy_failed", map[string]any{"bucket": "test", "cluster": "test", "reason": "full"}},
		{control.Event{Type: control.EventStorage, Cluster: "test", State: "down", Reason: "refused"}, "fado_storage_down", map[string]any{"cluster": "test", "reason": "refused"}},
		{control.Event{Type: control.EventStorage, Cluster: "test", State: "up"}, "fado_storage_up", map[string]any{"cluster": "test"}},
		{control.Event{Type: control.EventBucketStuck, Bucket: "test", Reason: "no room"}, "fado_bucket_stuck", map[string]any{"bucket": "test", "reason": "no room"}},
	} {
		bus.Emit(control.Event{Type: control.EventTransfer, Bucket: "test", Key: "not for Caddy"})
		bus.Emit(test.sent)
		got := awaitEvent(t)
		if got.Name() != test.name || len(got.Data) != len(test.data) {
			t.Errorf("got %s %v, want %s %v", got.Name(), got.Data, test.name, test.data)
		}
		for k, v := range test.data {
			if got.Data[k] != v {
				t.Errorf("%s: %s is %v, want %v", got.Name(), k, got.Data[k], v)
			}
		}
	}

	// After a reload each event comes once, from the configuration in force.
	mustLoad(t, c)
	bus.Emit(control.Event{Type: control.EventStorage, Cluster: "test3", State: "up"})
	bus.Emit(control.Event{Type: control.EventStorage, Cluster: "test4", State: "up"})
	if first, second := awaitEvent(t), awaitEvent(t); first.Data["cluster"] != "test3" || second.Data["cluster"] != "test4" {
		t.Errorf("got %v and %v", first.Data, second.Data)
	}
	// After a failed one too.
	bad := s
	bad.failing = "start"
	if bad.config(t).load() == nil {
		t.Fatal("the bad configuration was loaded")
	}
	bus.Emit(control.Event{Type: control.EventStorage, Cluster: "test5", State: "up"})
	if e := awaitEvent(t); e.Data["cluster"] != "test5" {
		t.Errorf("got %v", e.Data)
	}
}

func TestEventsAreSentByTheLastToStart(t *testing.T) {
	noLeaks(t)
	e := newEmitter(control.NewBus(time.Now), zap.NewNop())
	defer e.close()
	first, second := new(App), new(App)
	expect := func(want *App) {
		t.Helper()
		if got, _ := e.sender(); got != want {
			t.Errorf("sent by %p, expected %p (first %p, second %p)", got, want, first, second)
		}
	}
	expect(nil)
	e.sendBy(first)
	expect(first)
	e.sendBy(second)
	expect(second)
	e.stopSendingBy(second) // its configuration failed after all
	expect(first)
	e.stopSendingBy(first)
	e.stopSendingBy(first)
	expect(nil)
}

// The bus is asked for those types alone that Caddy may be told of, so that a burst of others
// (transfers) drops none of them.
func TestTheBusIsAskedForWhatIsSent(t *testing.T) {
	for _, typ := range control.EventTypes {
		sent := false
		for _, state := range []string{"", "synced", "failed", "up", "down"} {
			_, ok := toCaddy(control.Event{Type: typ, State: state})
			sent = sent || ok
		}
		if asked := slices.Contains(sentTypes, typ); asked != sent {
			t.Errorf("%s: asked for %v, sent %v", typ, asked, sent)
		}
	}
}

func TestLogSwitch(t *testing.T) {
	first, firstLogs := observer.New(zapcore.InfoLevel)
	second, secondLogs := observer.New(zapcore.DebugLevel)
	s := newLogSwitch(first)
	log := s.logger("fado.test").With(zap.String("kept", "yes"))
	log.Debug("too fine for the first")
	log.Info("to the first")
	s.use(second)
	log.Debug("to the second")
	if firstLogs.Len() != 1 || secondLogs.Len() != 1 {
		t.Fatalf("%d and %d entries", firstLogs.Len(), secondLogs.Len())
	}
	e := secondLogs.All()[0]
	if e.LoggerName != "fado.test" || e.ContextMap()["kept"] != "yes" {
		t.Errorf("name %q, fields %v", e.LoggerName, e.ContextMap())
	}
}

// TestLogsFollowTheConfiguration: what outlives a reload writes to the new
// configuration's log, not to the file that was closed with the old one.
func TestLogsFollowTheConfiguration(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	dir := t.TempDir()
	configured := func(name string) config {
		c := s.config(t)
		c["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{
			"writer": map[string]any{"output": "file", "filename": filepath.Join(dir, name)},
		}}}
		return c
	}
	mustLoad(t, configured("a.log"))
	rt := running(t).runtime.Load()
	mustLoad(t, configured("b.log"))
	s.failing = "start"
	for fadoHadStarted.Store(false); !fadoHadStarted.Load(); { // until it took over and fell back
		if configured("c.log").load() == nil {
			t.Fatal("the bad configuration was loaded")
		}
	}
	if running(t).runtime.Load() != rt {
		t.Fatal("the runtime changed")
	}
	rt.logs.logger("fado.test").Info("a word after the reloads")
	text, err := os.ReadFile(filepath.Join(dir, "b.log"))
	if err != nil || !strings.Contains(string(text), "a word after the reloads") || !strings.Contains(string(text), "fado.test") {
		t.Errorf("b.log (%v): %s", err, text)
	}
}

// What is probably not meant is logged when a configuration is loaded.
func TestWhatIsNotMeantIsLogged(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	app := &App{log: zap.New(core), EncryptionKey: "{env.FADO_KEY}"}
	for _, c := range []struct {
		key  string
		args []string
		want int
	}{
		{"{env.FADO_KEY}", []string{"caddy", "run", "--environ"}, 1},
		{"{env.FADO_KEY}", []string{"caddy", "run"}, 0},
		{"{file./run/secrets/fado}", []string{"caddy", "run", "--environ"}, 0},
	} {
		app.EncryptionKey = c.key
		warn(app, c.args)
		if got := logs.TakeAll(); len(got) != c.want || c.want > 0 && !strings.Contains(got[0].Message, "--environ") {
			t.Errorf("%+v: %v", c, got)
		}
	}
	app.Clusters = []*catalog.Cluster{{Name: "c1", Zones: []string{"z"}, Storage: &catalog.Storage{Endpoint: "http://h"}}}
	app.Zones = []*catalog.Zone{{Name: "z"}}
	app.Policies = []*catalog.Policy{{Name: "three", Copies: catalog.Copies{N: 3}}, {Name: "one"}}
	if err := app.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := logs.TakeAll(); len(got) != 1 || !strings.Contains(fmt.Sprint(got[0].ContextMap()["reason"]), "policy three wants 3 copies, 1 cluster can take one") {
		t.Errorf("%v", got)
	}
}
