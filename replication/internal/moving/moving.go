// Package moving says what instances are doing now: one, or several together.
//
// Figures are made by each instance of what it moves itself, told to the others while one of
// them is asked for all, and added up there. They are advisory: nothing depends on them.
package moving

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/verify"
)

// Status is what replication is doing: figures of one instance or of several, and the whole
// store's queue.
type Status struct {
	// Nodes are the instances whose figures these are: the one that was asked, then the others by name.
	Nodes     []string
	Paused    bool
	Workers   int
	Queue     Queue
	Rate      Rate
	LagMS     Lag
	Transfers []Transfer
	// Verifications under way on these instances.
	Verifications []verify.Verification
}

// Queue sums the pending objects of all buckets.
type Queue struct {
	Objects int64
	Bytes   int64
	Oldest  *time.Time
}

// Rate is per second, over the last half minute.
type Rate struct {
	Objects float64
	Bytes   float64
}

// Lag is that of recent live objects, from noticed to routable, in milliseconds.
type Lag struct {
	P50 float64
	P99 float64
}

// Transfer is one object on its way. Total is -1 while it is not known.
type Transfer struct {
	Bucket  string
	Key     string
	From    string
	To      string
	Done    int64
	Total   int64
	Started time.Time
	// Node is the instance that copies it.
	Node string
	// Rate is the bytes per second so far, and ETA when it will have ended at that rate; nil
	// while that can't be told.
	Rate float64
	ETA  *time.Time
}

const (
	// maxTransfers bounds the transfers shown.
	maxTransfers = 100
	// maxTold bounds the transfers, and the verifications, that another instance is told.
	maxTold = 50
)

// Transfers shows the objects that an instance is copying, the longest first.
func Transfers(ts []guard.Transfer, node string, now time.Time) []Transfer {
	slices.SortFunc(ts, func(a, b guard.Transfer) int { return a.Started.Compare(b.Started) })
	shown := make([]Transfer, 0, min(len(ts), maxTransfers))
	for _, t := range ts[:min(len(ts), maxTransfers)] {
		tr := Transfer{
			Bucket: t.Bucket, Key: t.Key, From: t.From, To: t.Cluster, Done: t.Done, Total: t.Total, Started: t.Started,
			Node: node,
		}
		tr.foresee(now)
		shown = append(shown, tr)
	}
	return shown
}

// foresee works out the rate, and the end if that rate lasts.
func (t *Transfer) foresee(now time.Time) {
	took := now.Sub(t.Started).Seconds()
	if took <= 0 || t.Done <= 0 {
		return
	}
	t.Rate = float64(t.Done) / took
	if t.Total >= t.Done {
		t.ETA = new(now.Add(time.Duration(float64(t.Total-t.Done) / t.Rate * float64(time.Second))))
	}
}

// Tell is what the other instances are told.
func (s Status) Tell() json.RawMessage {
	s.Transfers = s.Transfers[:min(len(s.Transfers), maxTold)]
	s.Verifications = slices.Clone(s.Verifications[:min(len(s.Verifications), maxTold)])
	for i := range s.Verifications {
		s.Verifications[i].Keys = nil // they are told by the bucket
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil // a rate that is no number: it tells nothing this time
	}
	return text
}

// Hear adds what other instances told. Rates and workers add up; of lags, which have no sum, the
// highest counts. What can't be read is left out.
func (s *Status) Hear(told []json.RawMessage) {
	others := []string{}
	for _, text := range told {
		var o Status
		if json.Unmarshal(text, &o) != nil || len(o.Nodes) != 1 {
			continue
		}
		others = append(others, o.Nodes...)
		s.Workers += o.Workers
		s.Rate.Objects, s.Rate.Bytes = s.Rate.Objects+o.Rate.Objects, s.Rate.Bytes+o.Rate.Bytes
		s.LagMS.P50, s.LagMS.P99 = max(s.LagMS.P50, o.LagMS.P50), max(s.LagMS.P99, o.LagMS.P99)
		s.Transfers = append(s.Transfers, o.Transfers...)
		s.Verifications = append(s.Verifications, o.Verifications...)
	}
	slices.Sort(others)
	s.Nodes = append(s.Nodes, others...)
	slices.SortFunc(s.Transfers, func(a, b Transfer) int { return a.Started.Compare(b.Started) })
	s.Transfers = s.Transfers[:min(len(s.Transfers), maxTransfers)]
	slices.SortStableFunc(s.Verifications, func(a, b verify.Verification) int { return cmp.Compare(a.Bucket, b.Bucket) })
}
