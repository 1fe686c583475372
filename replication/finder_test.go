package replication

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/storage"
)

// While a storage that may have a bucket can't be asked, the bucket is not made elsewhere,
// unless its primary is named.
func TestBucketIsNotMadeElsewhere(t *testing.T) {
	w := newWorld(t, Settings{}, nil)
	a, b := w.fake("c1"), w.fake("c2")
	b.User("bkt", "k", "v")
	b.SetFault(func(_ context.Context, op, _, _ string) error {
		return fmt.Errorf("%s: %w", op, storage.ErrUnavailable)
	})
	w.policy("p", 1, "c1", "c2")
	w.bucket("bkt", "p", "")
	w.await("the reason", func() bool {
		st := w.status("bkt")
		return st.State == control.BucketStuck && strings.Contains(st.Reason, "c2 can't be asked whether it has the bucket")
	})
	w.bucket("named", "p", "c1")
	w.await("a bucket that names its primary", func() bool { return a.Contents("named") != nil })
	if a.Contents("bkt") != nil || w.ctl.Router().Snapshot().Of("bkt").Primary() != "" {
		t.Error("the bucket was made elsewhere")
	}
	b.SetFault(nil)
	w.await("the primary", func() bool { return w.ctl.Router().Snapshot().Of("bkt").Primary() == "c2" })
	if a.Contents("bkt") != nil {
		t.Error("the bucket was made elsewhere, too")
	}
}

// A bucket that is in several places and names no primary gets one, and the log says which.
func TestSeveralPlacesAreLogged(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	w := newWorld(t, Settings{}, func(o *Options) { o.Log = zap.New(core) })
	for _, c := range []string{"c1", "c2", "c3"} {
		w.fake(c)
	}
	for _, c := range []string{"c1", "c2"} {
		w.fakes[c].User("two", "k", "v")
	}
	w.fakes["c3"].User("one", "k", "v")
	w.policy("p", 1, "c1", "c2", "c3")
	w.bucket("two", "p", "")
	w.bucket("one", "p", "")
	primary := func(bucket string) string { return w.ctl.Router().Snapshot().Of(bucket).Primary() }
	w.await("the primaries", func() bool { return primary("two") != "" && primary("one") == "c3" })
	said := logs.FilterMessageSnippet("several clusters have a bucket").All()
	if len(said) != 1 || said[0].ContextMap()["bucket"] != "two" || said[0].ContextMap()["primary"] != primary("two") {
		t.Errorf("the primary is %s; logged %v", primary("two"), said)
	}
}

// However many buckets look for their primary, a few do at a time, and each gets its turn.
func TestSearchesAreBounded(t *testing.T) {
	a := newAgenda(time.Now)
	f := newFinder(core{}, a)
	var begun, later []string
	for i := range 3 * findersAtATime {
		b := fmt.Sprint("b", i)
		if f.begin(b) {
			begun = append(begun, b)
		} else {
			later = append(later, b)
		}
		if f.begin(b) {
			t.Errorf("%s is looked for twice", b)
		}
	}
	if len(begun) != findersAtATime {
		t.Errorf("%d at a time, want %d", len(begun), findersAtATime)
	}
	for len(begun) > 0 {
		b := begun[0]
		f.end(b, "c1")
		if c, ok := f.take(b); !ok || c != "c1" {
			t.Errorf("found for %s: %q", b, c)
		}
		begun = begun[1:]
		for next := range a.takeNamed() {
			if !f.begin(next) {
				t.Errorf("%s does not begin when it is its turn", next)
			}
			begun = append(begun, next)
			later = slices.DeleteFunc(later, func(l string) bool { return l == next })
		}
	}
	if len(later) > 0 {
		t.Errorf("%v never had their turn", later)
	}
}
