package replication

import (
	"context"
	"errors"
	"testing"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// An answer that was asked for before the bucket was found is not believed, whenever it comes;
// a later one is.
func TestSourcesOrder(t *testing.T) {
	t.Parallel()
	gone := errors.New("the bucket is missing")
	const ask, find = "ask", "find"
	for _, tc := range []struct {
		name   string
		before []string // what happens between the question and its answer
		want   bool
	}{
		{"nothing is known", nil, true},
		{"it was found meanwhile", []string{find}, false},
		{"others ask", []string{ask, ask}, true},
		{"found, then others ask", []string{find, ask}, false},
	} {
		w := newWorld(t, Settings{Disabled: true}, nil)
		w.fake("c1")
		w.policy("p", 1)
		w.bucket("bkt", "p", "c1")
		s := newSources(w.ctl.Issues)
		s.isThere("bkt")
		question := s.ask()
		for _, what := range tc.before {
			if what == find {
				s.isThere("bkt")
			} else {
				s.ask()
			}
		}
		s.isMissing("bkt", question, gone)
		if got := w.status("bkt").State == control.BucketStuck; got != tc.want {
			t.Errorf("%s: stuck %v, want %v", tc.name, got, tc.want)
		}
		s.isMissing("bkt", s.ask(), gone)
		s.isThere("bkt")
		if w.status("bkt").State == control.BucketStuck {
			t.Errorf("%s: stuck, though the bucket was found", tc.name)
		}
	}
}

// A worker whose answer took longer than the scan that found the bucket again does not leave
// the bucket stuck until the next scan.
func TestLateAnswerThatTheBucketIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, _ := w.fake("c1"), w.fake("c2")
	c1.User("bkt", "k", "x")
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	asked, answer := make(chan struct{}), make(chan struct{})
	c1.SetFault(func(_ context.Context, op, _, key string) error {
		if op != "stat" || key != "k" {
			return nil
		}
		c1.SetFault(nil)
		close(asked)
		<-answer
		return storage.ErrNoBucket
	})
	w.must(w.ctl.Pending.Add(t.Context(), state.Pending{Bucket: "bkt", Key: "k", Cluster: "c2"}))
	<-asked
	before, _ := w.copyRow("bkt", "", "c2")
	w.must(w.eng.SyncBucket(t.Context(), "bkt"))
	w.await("a scan of the bucket", func() bool {
		row, _ := w.copyRow("bkt", "", "c2")
		return row.VerifiedAt.After(before.VerifiedAt)
	})
	close(answer)
	w.awaitOK("bkt", "c1", "c2")
}
