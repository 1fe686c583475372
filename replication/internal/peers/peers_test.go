package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
)

// exchange has members publish and read once, in order.
func exchange(t *testing.T, all ...*instance) {
	t.Helper()
	for _, i := range all {
		if err := i.post(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, i := range all {
		if err := i.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// seated joins members that have a slot each, without running them.
func (b *board) seated(names ...string) (all []*instance) {
	for slot, name := range names {
		i := b.join(name)
		i.setSlot(slot)
		all = append(all, i)
	}
	return all
}

// What is asked is carried out by every other instance, once, however often reports are
// read.
func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newBoard().seated("a", "b", "c")
		a, b, c := all[0], all[1], all[2]
		asks := []Request{
			{Bucket: "b1", Copy: ids.CopyIn("b1", "", "")},
			{Bucket: "b1", Allow: 7, Copy: ids.CopyIn("b1", "p/", "c2")},
			{},
		}
		for _, r := range asks {
			if err := a.Ask(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			exchange(t, a, b, c)
		}
		for _, i := range []*instance{b, c} {
			if got := i.requests(); !slices.Equal(got, asks) {
				t.Errorf("%s was asked %+v, want %+v", i.name, got, asks)
			}
		}
		if got := a.requests(); len(got) != 0 {
			t.Errorf("who asked was asked %+v", got)
		}
		if a.Others() != 2 || b.Others() != 2 {
			t.Errorf("others: %d, %d", a.Others(), b.Others())
		}
	})
}

// An instance whose work begins again, because its configuration changed, goes on with what it asks and was
// asked: the others know it by its number, and what it has carried out it does not carry out once more.
func TestRequestsGoOn(t *testing.T) {
	t.Parallel()
	all := newBoard().seated("a", "b")
	a, b := all[0], all[1]
	ask := func(i *instance, bucket string) {
		t.Helper()
		if err := i.Ask(t.Context(), Request{Bucket: bucket, Allow: 7}); err != nil {
			t.Fatal(err)
		}
	}
	ask(b, "asked of a")
	ask(a, "1")
	ask(a, "2")
	exchange(t, a, b)
	ask(a, "3")
	former := a.Peers
	former.setSlot(-1)
	a.Peers = New(former.o)
	a.Succeed(former)
	a.setSlot(0)
	ask(a, "4")
	exchange(t, a, b)
	var got []string
	for _, r := range b.requests() {
		got = append(got, r.Bucket)
	}
	if !slices.Equal(got, []string{"1", "2", "3", "4"}) {
		t.Errorf("b was asked about %q", got)
	}
	if got := a.requests(); len(got) != 1 {
		t.Errorf("a carried out %d requests, want one: %+v", len(got), got)
	}
}

// Who joins later does not carry out what was asked long before: deletes that people
// confirmed then are not those that come now.
func TestOldRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bd := newBoard()
		all := bd.seated("a", "b")
		a, b := all[0], all[1]
		if err := a.Ask(t.Context(), Request{Bucket: "b1", Allow: 7}); err != nil {
			t.Fatal(err)
		}
		exchange(t, a, b)
		pass(requestFor)
		exchange(t, a, b)
		late := bd.join("c")
		late.setSlot(2)
		exchange(t, a, b, late)
		if len(b.requests()) != 1 || len(late.requests()) != 0 {
			t.Errorf("asked: %+v in time, %+v late", b.requests(), late.requests())
		}
		// Later ones reach everybody.
		if err := a.Ask(t.Context(), Request{Bucket: "b2"}); err != nil {
			t.Fatal(err)
		}
		exchange(t, a, b, late)
		if len(b.requests()) != 2 || len(late.requests()) != 1 {
			t.Errorf("asked: %+v, %+v", b.requests(), late.requests())
		}
	})
}

// Only so many requests are kept, the last ones; none is dropped that the others may not have
// read: who asks is told.
func TestManyRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := newBoard().seated("a", "b")
		ask := func(n int) error { return all[0].Ask(t.Context(), Request{Bucket: fmt.Sprint(n)}) }
		for n := range reportRequests {
			if err := ask(n); err != nil {
				t.Fatal(err)
			}
		}
		if err := ask(reportRequests); !errors.Is(err, state.ErrUnavailable) {
			t.Fatalf("one more was taken: %v", err)
		}
		exchange(t, all...)
		if got := all[1].requests(); len(got) != reportRequests {
			t.Fatalf("%d were read", len(got))
		}
		time.Sleep(requestRead)
		for n := range 10 {
			if err := ask(reportRequests + n); err != nil {
				t.Fatal(err)
			}
		}
		exchange(t, all...)
		got := all[1].requests()
		if len(got) != reportRequests+10 || got[len(got)-1].Bucket != fmt.Sprint(reportRequests+9) {
			t.Errorf("asked %d, the last is %q", len(got), got[len(got)-1].Bucket)
		}
	})
}

// What could not be asked is said, and is not asked later: who asked tries again.
func TestAskFails(t *testing.T) {
	t.Parallel()
	bd := newBoard()
	all := bd.seated("a", "b")
	a, b := all[0], all[1]
	a.setSlot(-1)
	if err := a.Ask(t.Context(), Request{Bucket: "1"}); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("without a slot: %v, want %v", err, state.ErrUnavailable)
	}
	a.setSlot(0)
	bd.set(func() { bd.err = errStore })
	if err := a.Ask(t.Context(), Request{Bucket: "2"}); !errors.Is(err, errStore) {
		t.Errorf("without a store: %v, want %v", err, errStore)
	}
	if err := a.Read(t.Context()); !errors.Is(err, errStore) {
		t.Errorf("reading: %v, want %v", err, errStore)
	}
	bd.set(func() { bd.err = nil })
	if err := a.Ask(t.Context(), Request{Bucket: "3"}); err != nil {
		t.Fatal(err)
	}
	exchange(t, a, b)
	if got := b.requests(); len(got) != 1 || got[0].Bucket != "3" {
		t.Errorf("asked %+v, want the last alone", got)
	}
	a.shared = false
	if err := a.Ask(t.Context(), Request{Bucket: "4"}); err != nil {
		t.Errorf("where no others can be: %v", err)
	}
}

// Nobody waits for a store that hangs: who asks can give up, and what is known here is told.
func TestStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bd := newBoard()
		a := bd.seated("a")[0]
		bd.hang = make(chan struct{})
		posting := make(chan error, 1)
		go func() { posting <- a.post(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := a.Ask(ctx, Request{Bucket: "b"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ask: %v", err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("ask returned after %v", took)
		}
		if a.Others() != 0 || a.Shards.Count() != 0 || a.Shards.Owns("b") {
			t.Error("what is known here is wrong")
		}
		a.setSlot(1)
		if err := a.Read(t.Context()); err != nil { // takes a turn of its own
			t.Errorf("read: %v", err)
		}
		close(bd.hang)
		if err := <-posting; err != nil {
			t.Errorf("post: %v", err)
		}
	})
}

// Each instance knows what every one does; one that only routes does nothing.
func TestShares(t *testing.T) {
	t.Parallel()
	all := newBoard().seated("a", "b")
	a, b := all[0], all[1]
	b.o.Version = "v2"
	b.sites.Get("c2").Feed.Own.Store(true)
	b.sites.Get("c2").Feed.Set()
	exchange(t, a, b)
	got := a.Shares()
	if len(got) != 2 || got["b"].Version != "v2" || !slices.Equal(got["b"].Feeds, []string{"c2"}) || len(got["a"].Feeds) != 0 {
		t.Errorf("the shares are %+v", got)
	}
	a.setIdle(true)
	if got := a.Shares(); len(got) != 1 || got["b"].Version != "v2" {
		t.Errorf("with one that only routes: %+v", got)
	}
}

// A listener elsewhere that began again has left a gap; one that ended has not yet, and
// one's own is no news.
func TestGaps(t *testing.T) {
	t.Parallel()
	all := newBoard().seated("a", "b")
	a, b := all[0], all[1]
	listener, follower := a.sites.Get("c1"), b.sites.Get("c1")
	step := func(what string, want ...string) {
		t.Helper()
		exchange(t, a, b)
		if got := b.takeGaps(); !slices.Equal(got, want) {
			t.Errorf("%s: gaps %q, want %q", what, got, want)
		}
		if got := a.takeGaps(); len(got) != 0 {
			t.Errorf("%s: the listener itself was told of gaps %q", what, got)
		}
	}
	step("nobody listens")
	if f := follower.Feed.Get(); f.Live || f.Why == "" {
		t.Errorf("nobody listens: %+v", f)
	}
	listener.Feed.Own.Store(true)
	listener.Feed.Silent(site.SilentStarting)
	step("about to listen")
	listener.Feed.Set()
	step("listening", "c1")
	step("still listening")
	if f := follower.Feed.Get(); !f.Live {
		t.Errorf("listening: %+v", f)
	}
	epoch := follower.Feed.Get().Epoch
	listener.Feed.SilentFor("broken")
	step("broken")
	if f := follower.Feed.Get(); f.Live || f.Why != "broken" || f.Epoch == epoch {
		t.Errorf("broken: %+v", f)
	}
	listener.Feed.Set()
	step("listening again", "c1")
	// It came and went between two looks.
	listener.Feed.SilentFor("broken")
	listener.Feed.Set()
	epoch = follower.Feed.Get().Epoch
	step("listening after a moment", "c1")
	if f := follower.Feed.Get(); f.Epoch == epoch {
		t.Errorf("a gap, and the same epoch: %+v", f)
	}
	// The follower listens itself from now on.
	listener.Feed.Own.Store(false)
	follower.Feed.Own.Store(true)
	follower.Feed.Set()
	exchange(t, a, b)
	if f := follower.Feed.Get(); !f.Live || len(b.takeGaps()) != 0 {
		t.Errorf("its own listener: %+v", f)
	}
	if got := a.takeGaps(); !slices.Equal(got, []string{"c1"}) && !slices.Equal(got, []string(nil)) {
		t.Errorf("the former listener: gaps %q", got)
	}
}

// Reports are advisory: whatever stands in one, or who left it, nothing breaks and nothing
// is believed of those who are not alive.
func TestGarbage(t *testing.T) {
	t.Parallel()
	bd := newBoard()
	all := bd.seated("a", "b")
	a, b := all[0], all[1]
	b.issues = map[string][]control.Issue{"bkt": {{Reason: "no space", Short: []string{"p/"}}}}
	dead := peerReport{Member: "dead", Parts: 3, Asks: []request{{N: 1, Bucket: "x"}}, Feeds: map[string]feedStatus{"c1": {Live: true}}}
	own := peerReport{Member: "a", Parts: 3, Asks: []request{{N: 9, Bucket: "x"}}, Feeds: map[string]feedStatus{"c1": {Live: true}}}
	unknown := peerReport{Member: "b", Feeds: map[string]feedStatus{"no such cluster": {Live: true, Epoch: "1"}}}
	bodies := []string{"", "{", "[]", "null", `{"member":7}`, `{"member":"b","parts":"many"}`, `{"unheard":true}`}
	for _, r := range []peerReport{dead, own, unknown} {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(text))
	}
	bd.set(func() {
		for i, text := range bodies {
			bd.reports[fmt.Sprint(reportPrefix, 10+i)] = text
		}
	})
	exchange(t, a, b)
	if got := a.requests(); len(got) != 0 {
		t.Errorf("asked %+v", got)
	}
	if f := a.sites.Get("c1").Feed.Get(); f.Live {
		t.Errorf("the feed is live by a dead member's word: %+v", f)
	}
	if !reflect.DeepEqual(a.told, b.issues) {
		t.Errorf("issues %+v, want %+v", a.told, b.issues)
	}
	if n, _ := a.sharers(2); n != 2 {
		t.Errorf("%d share, want 2", n)
	}
}

// An instance that changed its slot left a report in the former one: the last one counts.
func TestFormerSlot(t *testing.T) {
	t.Parallel()
	bd := newBoard()
	all := bd.seated("a", "b")
	a, b := all[0], all[1]
	listener, follower := a.sites.Get("c1"), b.sites.Get("c1")
	listener.Feed.Own.Store(true)
	listener.Feed.Set()
	a.issues = map[string][]control.Issue{"bkt": {{Reason: "no space"}}}
	a.setSlot(-1)
	a.setSlot(5)
	exchange(t, a, b)
	listener.Feed.SilentFor("broken")
	a.setSlot(-1)
	a.setSlot(2)
	exchange(t, a, b)
	if f := follower.Feed.Get(); f.Live {
		t.Errorf("the former slot's report is believed: %+v", f)
	}
	if got := b.told["bkt"]; len(got) != 1 {
		t.Errorf("issues %+v, want one", got)
	}
}

// Every instance holds one slot, so that reports are no more than instances; what did not
// change is not stored again.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bd := newBoard()
		a, b := bd.start(t, "a"), bd.start(t, "b")
		pass(time.Minute)
		if n := bd.holders("replication/place/"); n != 2 || len(bd.reports) != 2 {
			t.Errorf("%d slots are held, %d reports", n, len(bd.reports))
		}
		put := bd.put
		pass(time.Minute)
		if bd.put != put {
			t.Errorf("reports that did not change were stored %d times", bd.put-put)
		}
		if err := a.Ask(t.Context(), Request{Bucket: "b1"}); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		if len(b.requests()) != 1 {
			t.Errorf("asked %+v", b.requests())
		}
		// A lost slot is another one soon, and nothing is asked twice.
		bd.lose("a", "replication/place/")
		pass(10 * time.Second)
		if n := bd.holders("replication/place/"); n != 2 || len(b.requests()) != 1 {
			t.Errorf("%d slots are held; asked %+v", n, b.requests())
		}
		if err := a.Ask(t.Context(), Request{Bucket: "b2"}); err != nil {
			t.Fatal(err)
		}
		bd.set(func() { bd.err = errStore })
		pass(time.Minute)
		bd.set(func() { bd.err = nil })
		pass(10 * time.Second)
		if got := b.requests(); len(got) != 2 {
			t.Errorf("after the store was away, asked %+v", got)
		}
		a.stop()
		b.stop()
		if n := bd.holders(""); n != 0 {
			t.Errorf("%d locks are left", n)
		}
		for name, body := range bd.reports {
			if body != "" {
				t.Errorf("who does not replicate any more left a report in %s: %s", name, body)
			}
		}
	})
}
