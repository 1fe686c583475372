package moving

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/verify"
)

// The end of a transfer is foreseen by the rate so far, and not where nothing is known.
func TestForesee(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_800_000_000, 0)
	tr := Transfer{Done: 100, Total: 300, Started: began}
	if tr.foresee(began.Add(10 * time.Second)); tr.Rate != 10 || tr.ETA == nil || !tr.ETA.Equal(began.Add(30*time.Second)) {
		t.Errorf("%+v", tr)
	}
	for _, tr := range []Transfer{{Done: 0, Total: 300, Started: began}, {Done: 100, Total: -1, Started: began}, {Done: 100, Total: 300, Started: began.Add(time.Hour)}} {
		if tr.foresee(began.Add(10 * time.Second)); tr.ETA != nil {
			t.Errorf("%+v", tr)
		}
	}
}

// Of very many transfers those that take longest are shown, and fewer are told.
func TestManyTransfers(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_800_000_000, 0)
	var running []guard.Transfer
	for i := range 300 {
		running = append(running, guard.Transfer{Object: ids.Object{}, From: fmt.Sprint(i), Started: began.Add(-time.Duration(i) * time.Second)})
	}
	s := Status{Nodes: []string{"one"}, Transfers: Transfers(running, "one", began)}
	if len(s.Transfers) != maxTransfers || s.Transfers[0].From != "299" {
		t.Errorf("%d, the first %+v", len(s.Transfers), s.Transfers[0])
	}
	var told Status
	if err := json.Unmarshal(s.Tell(), &told); err != nil || len(told.Transfers) != maxTold || len(s.Transfers) != maxTransfers {
		t.Errorf("told: %d, %v", len(told.Transfers), err)
	}
}

// What several instances move adds up; of lags the highest counts, and nobody's keys of mismatches
// are told.
func TestSeveralTogether(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_800_000_000, 0).UTC()
	of := func(node string, age time.Duration, workers int, lag float64, bucket string) Status {
		return Status{
			Nodes: []string{node}, Workers: workers, Rate: Rate{Objects: 1, Bytes: 10}, LagMS: Lag{P50: lag, P99: 2 * lag},
			Transfers:     []Transfer{{Bucket: bucket, Node: node, Started: began.Add(-age), Total: 5, ETA: &began}},
			Verifications: []verify.Verification{{Bucket: bucket, State: "running", Keys: []verify.Mismatch{{Key: "k"}}}},
		}
	}
	one, two, three := of("one", time.Minute, 8, 5, "m"), of("two", time.Hour, 4, 9, "a"), of("three", time.Second, 2, 1, "z")
	one.Hear([]json.RawMessage{two.Tell(), json.RawMessage(`{"Nodes":1}`), json.RawMessage(`{}`), nil, three.Tell()})
	if got, want := fmt.Sprint(one.Nodes, one.Workers, one.Rate, one.LagMS), "[one three two] 14 {3 30} {9 18}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var transfers, verifications []string
	for _, tr := range one.Transfers {
		transfers = append(transfers, tr.Node)
	}
	for _, v := range one.Verifications {
		verifications = append(verifications, fmt.Sprint(v.Bucket, len(v.Keys)))
	}
	if got, want := fmt.Sprint(transfers, verifications), "[two one three] [a0 m1 z0]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	two.Rate.Bytes = math.NaN()
	if two.Tell() != nil {
		t.Errorf("told: %s", two.Tell())
	}
	if len(two.Verifications[0].Keys) != 1 {
		t.Error("what is told took the keys of the instance itself")
	}
}

// What very many instances move stays within bounds, those that take longest first.
func TestVeryManyTogether(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_800_000_000, 0).UTC()
	var told []json.RawMessage
	for i := range 20 {
		o := Status{Nodes: []string{fmt.Sprint(i)}}
		for k := range 10 {
			o.Transfers = append(o.Transfers, Transfer{Node: o.Nodes[0], Key: fmt.Sprint(k), Started: began.Add(-time.Duration(10*i+k) * time.Second)})
		}
		told = append(told, o.Tell())
	}
	var all Status
	all.Hear(told)
	if len(all.Transfers) != maxTransfers || all.Transfers[0].Node != "19" || all.Transfers[0].Key != "9" || len(all.Nodes) != 20 {
		t.Errorf("%d of %d, the first %+v", len(all.Transfers), len(all.Nodes), all.Transfers[0])
	}
}
