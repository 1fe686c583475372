package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/postgres"
)

// trader is an instance that measures, on a store that others share.
type trader struct {
	exchange
	rings *history.Rings
	store *postgres.Store
	close func()
}

func newTrader(t *testing.T, dsn, node string) *trader {
	t.Helper()
	store, err := postgres.Open(context.Background(), postgres.Options{DSN: dsn, Key: []byte("a passphrase of the tests"), MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	ctl, err := control.New(control.Options{Store: store, Node: node})
	if err == nil {
		err = ctl.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	tr := &trader{exchange: exchange{rt: &runtime{control: ctl, flows: newFlowWindow(ctl.Router())}}, rings: history.New(time.Hour, 10*time.Second, 1<<20), store: store}
	tr.close = func() {
		ctl.Close()
		_ = store.Close()
	}
	return tr
}

// measure puts values of a time, and trades.
func (tr *trader) measure(t *testing.T, at time.Time, v float64) {
	t.Helper()
	samples := []history.Sample{{Series: "lag.p99", Value: v, Peak: true}}
	for _, series := range []string{"decisions.local", "decisions.local.c1", "in_flight.c1", "in_flight_at.c1 http://f", "backlog.objects", "used.c1", "copied.c1"} {
		samples = append(samples, history.Sample{Series: series, Value: v})
	}
	tr.rings.Put(at, samples)
	tr.trade(t.Context(), tr.rings, at)
}

func reports(t *testing.T, s *postgres.Store) []state.Report {
	t.Helper()
	all, err := s.Reports().ListReports(t.Context(), sheetPrefix)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Instances tell each other what is theirs, through the store; one that ends leaves its values, and
// nothing in the store.
func TestInstancesTellEachOther(t *testing.T) {
	dsn := testenv.PostgresDatabase(t)
	noLeaks(t)
	one := newTrader(t, dsn, "one")
	defer one.close()
	now := time.Now().Truncate(10 * time.Second)
	one.measure(t, now, 1)
	if told := reports(t, one.store); len(told) != 0 {
		t.Fatalf("alone it tells %v", told)
	}
	two := newTrader(t, dsn, "two")
	closed := false
	defer func() {
		if !closed {
			two.close()
		}
	}()
	for i := 1; i < 4; i++ {
		at := now.Add(time.Duration(i) * 10 * time.Second)
		two.measure(t, at, float64(10*i))
		one.measure(t, at, float64(i))
	}
	if got := fmt.Sprint(one.rings.Names("two")); got != "[decisions.local in_flight.c1 lag.p99]" {
		t.Errorf("one knows of two: %s", got)
	}
	ids := []history.SeriesID{{Node: "two", Name: "decisions.local"}, {Name: "decisions.local"}}
	if got := fmt.Sprint(one.rings.Read(ids, now, now.Add(30*time.Second), 0).Values); got != "[[NaN 10 20 30] [1 1 2 3]]" {
		t.Errorf("one has %s", got)
	}
	flows := func(tr *trader, seconds int) string {
		return fmt.Sprint(tr.rt.flows.since(time.Minute, now.Add(time.Duration(seconds)*time.Second)).Others)
	}
	if got := flows(one, 40); got != "[two]" {
		t.Errorf("one knows the flows of %s", got)
	}
	if got := flows(one, 120); got != "[]" {
		t.Errorf("flows that were told long ago: of %s", got)
	}
	// Two traded before one each time.
	if got := two.rings.Nodes(); len(got) != 1 || got[0].Name != "one" || !got[0].Last.Equal(now.Add(20*time.Second)) {
		t.Errorf("two knows of %v", got)
	}
	two.close()
	closed = true
	third := newTrader(t, dsn, "three")
	defer third.close()
	for i := 4; i < 6; i++ {
		at := now.Add(time.Duration(i) * 10 * time.Second)
		third.measure(t, at, 7)
		one.measure(t, at, float64(i))
	}
	if got := fmt.Sprint(one.rings.Read(ids[:1], now, now.Add(50*time.Second), 0).Values); got != "[[NaN 10 20 30 NaN NaN]]" {
		t.Errorf("of two there is %s", got)
	}
	if told := reports(t, one.store); len(told) != 2 {
		t.Errorf("%d reports are left of two instances", len(told))
	}
}

// A report of the same millisecond as the one before is heard.
func TestReportsOfOneMillisecond(t *testing.T) {
	t.Parallel()
	rings := history.New(time.Hour, 10*time.Second, 1<<20)
	now := time.Now().Truncate(10 * time.Second)
	at := now.Add(time.Second)
	x := exchange{rt: &runtime{flows: newFlowWindow(routing.NewRouter())}}
	for i := range 2 {
		last := now.Add(time.Duration(i) * 10 * time.Second)
		rings.Put(last, []history.Sample{{Series: "decisions.local", Value: 1}})
		body, err := json.Marshal(history.Sheet{Last: last, Step: 10 * time.Second, Series: []history.SheetSeries{{Name: "decisions.local", Values: []history.Value{history.Value(i)}}}})
		if err != nil {
			t.Fatal(err)
		}
		x.hear(rings, "id", "two", state.Report{Name: sheetPrefix + "id", Body: string(body), At: at}, last)
	}
	got := rings.Read([]history.SeriesID{{Node: "two", Name: "decisions.local"}}, now, now.Add(10*time.Second), 0).Values
	if fmt.Sprint(got) != "[[0 1]]" {
		t.Errorf("heard %v", got)
	}
}

func TestNodeNames(t *testing.T) {
	t.Parallel()
	names := nodeNames([]state.MemberInfo{{ID: "0123456789", Node: "a"}, {ID: "9876543210", Node: "b"}, {ID: "f", Node: "a"}})
	if got := fmt.Sprint(names); got != "map[0123456789:a 01234567 9876543210:b f:a f]" {
		t.Error(got)
	}
}
