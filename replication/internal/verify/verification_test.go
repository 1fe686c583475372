package verify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

var errStore = errors.New("no database")

// records is a store of one verification whose writes can be held up or fail.
type records struct {
	Records

	mu   sync.Mutex
	row  state.Verification
	keys map[string]string // state by key
	err  error
	hold chan struct{} // when set, the next write waits for it
}

func (r *records) UpdateVerification(_ context.Context, bucket string, f func(*state.Verification) error) (state.Verification, error) {
	r.mu.Lock()
	hold := r.hold
	r.hold = nil
	r.mu.Unlock()
	if hold != nil {
		<-hold
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return state.Verification{}, r.err
	}
	return r.row, f(&r.row)
}

func (r *records) PutMismatches(_ context.Context, _ string, rows ...state.Mismatch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range rows {
		r.keys[m.Key] = m.State
	}
	return r.err
}

func (r *records) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

type noIssues struct{}

func (noIssues) Set(string, control.Source, control.Issue) {}

type events struct {
	mu  sync.Mutex
	all []control.Event
}

func (e *events) Emit(ev control.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

func newRecorded() (*Verifier, *records) {
	r := &records{keys: make(map[string]string)}
	return New(Options{Records: r, Issues: noIssues{}, Events: &events{}, Log: zap.NewNop(), Now: time.Now, Node: "n"}), r
}

// The outcome is the last that is stored of a verification, however slowly what a request
// stores about joining it gets there.
func TestOutcomeIsLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, r := newRecorded()
		c, err := v.join(t.Context(), bkt, false)
		if err != nil {
			t.Fatal(err)
		}
		slow := make(chan struct{})
		r.set(func() { r.hold = slow })
		requested := make(chan error, 1)
		go func() {
			_, err := v.Request(t.Context(), bkt, false)
			requested <- err
		}()
		synctest.Wait()
		ended := make(chan bool, 1)
		go func() { ended <- v.ended(t.Context(), c, stateDone, nil) }()
		synctest.Wait()
		close(slow)
		if err := <-requested; err != nil || !<-ended {
			t.Fatalf("requested: %v", err)
		}
		if r.row.State != stateDone || r.row.UnderWay {
			t.Errorf("the store keeps %+v, want it done", r.row)
		}
		if err := v.save(t.Context(), c); err != nil || r.row.State != stateDone {
			t.Errorf("stored after the outcome: %+v, %v", r.row, err)
		}
	})
}

// A store that fails at the very end loses nothing that it can still take, and breaks
// nothing.
func TestStoreFailsAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, r := newRecorded()
		c, err := v.join(t.Context(), bkt, false)
		if err != nil {
			t.Fatal(err)
		}
		c.found(Mismatch{Key: "k", Cluster: "c2", State: unrepairable})
		slow := make(chan struct{})
		r.set(func() { r.hold, r.err = slow, errStore })
		saved := make(chan error, 1)
		go func() { saved <- v.save(t.Context(), c) }()
		synctest.Wait()
		ended := make(chan bool, 1)
		go func() { ended <- v.ended(t.Context(), c, stateDone, nil) }()
		synctest.Wait()
		close(slow)
		if err := <-saved; !errors.Is(err, errStore) {
			t.Errorf("saved: %v", err)
		}
		if !<-ended || v.find(bkt) != nil {
			t.Error("it did not end")
		}
	})
}

// Mismatches that could not be stored are stored with the next attempt, as they are then.
func TestSaveAgain(t *testing.T) {
	t.Parallel()
	v, r := newRecorded()
	c := newCurrent(state.Verification{Bucket: bkt})
	c.found(Mismatch{Key: "a", Cluster: "c2", State: repairing})
	c.found(Mismatch{Key: "b", Cluster: "c2", State: unrepairable})
	r.set(func() { r.err = errStore })
	if err := v.save(t.Context(), c); !errors.Is(err, errStore) {
		t.Errorf("saved: %v", err)
	}
	c.settled(ids.ObjectIn(bkt, "a", "c2"), repaired, "")
	r.set(func() { r.err, r.keys = nil, make(map[string]string) })
	if err := v.save(t.Context(), c); err != nil || r.keys["a"] != repaired || r.keys["b"] != unrepairable {
		t.Errorf("stored %v, %v", r.keys, err)
	}
	r.set(func() { r.keys = make(map[string]string) })
	if err := v.save(t.Context(), c); err != nil || len(r.keys) != 0 {
		t.Errorf("stored again: %v, %v", r.keys, err)
	}
}

// Whatever is found, found again and settled, in any order: every mismatch is one, and ends
// as one.
func TestMismatchesCountOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := newCurrent(state.Verification{Bucket: bkt})
		open, broken := make(map[string]bool), make(map[string]bool)
		total, well := int64(0), int64(0)
		key := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		t.Repeat(map[string]func(*rapid.T){
			"found": func(t *rapid.T) {
				k, s := key.Draw(t, "key"), rapid.SampledFrom([]string{repairing, repaired, unrepairable}).Draw(t, "state")
				c.found(Mismatch{Key: k, Cluster: "c2", State: s})
				if open[k] || broken[k] {
					return
				}
				total++
				switch s {
				case repairing:
					open[k] = true
				case unrepairable:
					broken[k] = true
				default:
					well++
				}
			},
			"settled": func(t *rapid.T) {
				k, s := key.Draw(t, "key"), rapid.SampledFrom([]string{repaired, unrepairable}).Draw(t, "became")
				c.settled(ids.ObjectIn(bkt, k, "c2"), s, "why")
				if !open[k] {
					return
				}
				delete(open, k)
				if s == repaired {
					well++
				} else {
					broken[k] = true
				}
			},
			"": func(t *rapid.T) {
				row := c.row
				if row.Mismatches != total || row.Repaired != well || row.Unrepairable != int64(len(broken)) || len(c.open()) != len(open) {
					t.Fatalf("%d mismatches, %d repaired, %d unrepairable, %d open; want %d, %d, %d, %d",
						row.Mismatches, row.Repaired, row.Unrepairable, len(c.open()), total, well, len(broken), len(open))
				}
			},
		})
	})
}

// Only so many mismatches are listed; all are counted, and their outcomes show.
func TestListed(t *testing.T) {
	t.Parallel()
	c := newCurrent(state.Verification{Bucket: bkt})
	for i := range maxMismatches + 10 {
		c.found(Mismatch{Key: fmt.Sprint("k", i), Cluster: "c2", Reason: "differs", State: repairing})
	}
	for _, ref := range c.open() {
		c.settled(ref, unrepairable, "denied")
	}
	v := c.view(time.Now())
	if len(v.Keys) != maxMismatches || v.Mismatches != maxMismatches+10 || v.Unrepairable != maxMismatches+10 {
		t.Errorf("%d listed of %d, %d unrepairable", len(v.Keys), v.Mismatches, v.Unrepairable)
	}
	for _, m := range v.Keys {
		if m.State != unrepairable || m.Reason != "differs; denied" {
			t.Fatalf("listed %+v", m)
		}
	}
	if got := c.damage(); got == "" {
		t.Error("no damage is told")
	}
}

// What a step compared beyond its cursor is counted again when it is resumed, once.
func TestSteps(t *testing.T) {
	t.Parallel()
	c := newCurrent(state.Verification{Bucket: bkt})
	if resumed, cursor := c.enter("one"); resumed || cursor != "" {
		t.Errorf("a first step was resumed at %q", cursor)
	}
	c.passed(2, 20)
	c.count(3, 30) // beyond
	if resumed, _ := c.enter("one"); !resumed || c.row.Objects != 2 || c.row.Bytes != 20 || c.reached() != 2 {
		t.Errorf("resumed: %+v", c.row)
	}
	c.passed(1, 10)
	c.leave("one")
	c.enter("two")
	c.count(5, 50)
	c.reachedKey("k", 4, 40)
	if resumed, cursor := c.enter("two"); !resumed || cursor != "k" || c.row.Objects != 4 || c.row.Bytes != 40 {
		t.Errorf("resumed at %q: %+v", cursor, c.row)
	}
	c.leave("two")
	if len(c.row.Done) != 2 || c.row.Step != "" || c.row.Cursor != "" {
		t.Errorf("done: %+v", c.row)
	}
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	for _, tc := range []struct {
		row  state.Verification
		want time.Duration // after the start; 0: none
	}{
		{state.Verification{State: stateRunning, Objects: 25, Total: 100}, 40 * time.Second},
		{state.Verification{State: stateRunning, Objects: 200, Total: 100}, 10 * time.Second},
		{state.Verification{State: stateRunning, Deep: true, Objects: 25, Total: 100, Bytes: 10, TotalBytes: 20}, 20 * time.Second},
		{state.Verification{State: stateRunning, Total: 100}, 0},
		{state.Verification{State: stateRunning, Objects: 25}, 0},
		{state.Verification{State: stateDone, Objects: 25, Total: 100}, 0},
	} {
		tc.row.Started = start
		v := newCurrent(tc.row).view(start.Add(10 * time.Second))
		switch {
		case (v.Estimate != nil) != (tc.want > 0):
			t.Errorf("%+v: estimate %v", tc.row, v.Estimate)
		case v.Estimate != nil && !v.Estimate.Equal(start.Add(tc.want)):
			t.Errorf("%+v: estimate %v after the start, want %v", tc.row, v.Estimate.Sub(start), tc.want)
		}
	}
}

// Watchers are told of progress once in a while, and of ends always.
func TestTold(t *testing.T) {
	t.Parallel()
	e, c, now := new(events), newCurrent(state.Verification{Bucket: bkt, State: stateRunning}), time.Unix(1000, 0)
	for range 5 {
		c.progress(e, now)
		now = now.Add(tellEvery / 2)
	}
	if len(e.all) != 3 {
		t.Errorf("told %d times in %v", len(e.all), 2*tellEvery)
	}
	c.found(Mismatch{Key: "k", Cluster: "c2", State: unrepairable})
	c.tell(e, now)
	last := e.all[len(e.all)-1]
	if last.Type != control.EventVerification || last.Bucket != bkt || last.Reason != "1 mismatches, 0 repaired, 1 unrepairable" {
		t.Errorf("told %+v", last)
	}
}
