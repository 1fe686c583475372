package bodies

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func id(version string, length int) Identity {
	return Identity{ETag: `"` + version + `"`, Modified: "now", Length: int64(length)}
}

// content is what a version of an object has.
func content(bucket, key, version string, length int) string {
	return strings.Repeat(bucket+"/"+key+"@"+version+" ", length)[:length]
}

// fill takes a version in, and reports whether it was wanted.
func fill(c *Cache, bucket, key, version string, length int) bool {
	f := c.Fill(bucket, key, id(version, length), []string{"Etag"}, false)
	if f == nil {
		return false
	}
	for _, part := range []string{"", content(bucket, key, version, length)} {
		f.Write([]byte(part))
	}
	f.End()
	return true
}

// settle waits until what was filled is in, or not.
func (c *Cache) settle() { c.with(c.kept.Wait) }

func made(tb testing.TB, o Options) *Cache {
	tb.Helper()
	c := New(o)
	tb.Cleanup(func() {
		c.Close()
		if n := c.bytes.Load(); n != 0 {
			tb.Errorf("%d bytes are counted after the end", n)
		}
	})
	return c
}

func TestKeepsWholeBodies(t *testing.T) {
	t.Parallel()
	c := made(t, Options{Size: 1 << 20, MaxObject: 1000})
	fill(c, "b", "k", "1", 1000)
	c.settle()
	b := c.Get("b", "k")
	if b == nil || string(b.Content) != content("b", "k", "1", 1000) || b.Identity != id("1", 1000) || !slices.Equal(b.Headers, []string{"Etag"}) {
		t.Errorf("kept %+v", b)
	}
	if c.Get("b", "other") != nil || c.Get("other", "k") != nil {
		t.Error("another object is kept")
	}
	for what, written := range map[string]string{"short": "123", "long": "123456"} {
		f := c.Fill("b", what, id("1", 5), nil, false)
		f.Write([]byte(written[:2]))
		f.Write([]byte(written[2:]))
		f.End()
		if c.settle(); c.Get("b", what) != nil {
			t.Errorf("a body that is too %s is kept", what)
		}
	}
	for _, length := range []int{0, -1, 1001} {
		if c.Fill("b", "x", id("1", length), nil, false) != nil {
			t.Errorf("%d bytes are taken", length)
		}
	}
	c.Drop(b)
	if c.Get("b", "k") != nil {
		t.Error("it is there after Drop")
	}
}

// One request takes an object in, others leave it alone meanwhile.
func TestFilledOnce(t *testing.T) {
	t.Parallel()
	c := made(t, Options{Size: 1 << 20, MaxObject: 1000})
	f := c.Fill("b", "k", id("1", 1), nil, false)
	if c.Fill("b", "k", id("1", 1), nil, false) != nil {
		t.Error("two take it in")
	}
	f.End()
	if f = c.Fill("b", "k", id("1", 1), nil, false); f == nil {
		t.Fatal("nobody takes it in")
	}
	f.End()
}

// While there is room a body is admitted at its first use, then at the second; and one that
// changed at the second use of its version.
func TestAdmittedByUse(t *testing.T) {
	t.Parallel()
	c := made(t, Options{Size: 100 << 10, MaxObject: 10 << 10})
	changed := c.Fill("b", "hot", id("1", 10), nil, true)
	if changed != nil || !fill(c, "b", "hot", "1", 10) {
		t.Error("one that changed is taken in at its first use, or not at its second")
	}
	n := 0
	for ; n < 100 && fill(c, "b", fmt.Sprint("k", n), "1", 9<<10); n++ {
		c.settle()
	}
	if n < 8 || n > 12 {
		t.Errorf("%d bodies of 9 KiB fit into 100 KiB", n)
	}
	if !fill(c, "b", fmt.Sprint("k", n), "1", 9<<10) {
		t.Error("it is not taken in at its second use")
	}
}

// Whatever is asked of it, the cache has no more than it may, and never gives what is another's.
func TestBounded(t *testing.T) {
	t.Parallel()
	const size, most = 64 << 10, 4 << 10
	rapid.Check(t, func(t *rapid.T) {
		c := New(Options{Size: size, MaxObject: most})
		defer c.Close()
		lengths := rapid.SliceOfN(rapid.IntRange(1, most), 20, 100).Draw(t, "lengths")
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for n, length := range lengths {
					bucket, key, version := fmt.Sprint("b", n%3), fmt.Sprint("k", (n*(g+1))%37), fmt.Sprint(length)
					fill(c, bucket, key, version, length)
					if got := c.bytes.Load(); got > size+c.o.room()+4*(most+2*overhead) { // each may be about to see that it is too much
						t.Errorf("%d bytes", got)
					}
					if b := c.Get(bucket, key); b != nil && string(b.Content) != content(bucket, key, strings.Trim(b.ETag, `"`), int(b.Length)) {
						t.Errorf("%s/%s has %.40q", bucket, key, b.Content)
					}
				}
			})
		}
		wg.Wait()
		c.settle()
		sum, counted := int64(0), c.bytes.Load()
		c.kept.IterValues(func(b *Body) bool {
			sum += b.cost
			return false
		})
		if sum > size || sum != counted {
			t.Errorf("%d bytes are kept, %d counted, of %d", sum, counted, size)
		}
	})
}

// holds are holds on buckets, as the engine gives them.
type holds struct {
	mu     sync.Mutex
	cancel map[string]context.CancelFunc
	ended  map[string]chan struct{}
	keys   map[string]iter.Seq[string]
	no     bool
}

func (h *holds) hold(bucket string, keys iter.Seq[string]) (context.Context, func(), error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.no {
		return nil, nil, errors.New("no")
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	h.cancel[bucket], h.ended[bucket], h.keys[bucket] = cancel, ended, keys
	return ctx, func() { cancel(); close(ended) }, nil
}

func (h *holds) may(string, string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.no
}

// What may no longer be kept is gone once its hold has ended, and so is what was on its way.
func TestHeld(t *testing.T) {
	t.Parallel()
	h := &holds{cancel: make(map[string]context.CancelFunc), ended: make(map[string]chan struct{}), keys: make(map[string]iter.Seq[string])}
	c := made(t, Options{Size: 1 << 20, MaxObject: 1000, Hold: h.hold, May: h.may})
	for n := range 20 {
		fill(c, []string{"a", "b"}[n%2], fmt.Sprint("k", n/2), "1", 100)
	}
	late := c.Fill("a", "late", id("1", 4), nil, false)
	c.settle()
	if n := len(slices.Collect(h.keys["a"])); n != 10 {
		t.Errorf("%d keys of a are under its hold", n)
	}
	fill(c, "a", "k0", "2", 100) // another version in its place
	h.mu.Lock()
	h.no = true
	h.mu.Unlock()
	h.cancel["a"]()
	<-h.ended["a"]
	late.Write([]byte("late"))
	late.End()
	c.settle()
	for n := range 10 {
		if c.Get("a", fmt.Sprint("k", n)) != nil || c.Get("b", fmt.Sprint("k", n)) == nil {
			t.Errorf("k%d: expected it in b alone", n)
		}
	}
	if c.Get("a", "late") != nil || fill(c, "a", "k", "1", 1) && c.Get("a", "k") != nil {
		t.Error("it is kept without a hold")
	}
	for n := range 10 { // a hold ends with the last that is under it
		c.Drop(c.Get("b", fmt.Sprint("k", n)))
	}
	<-h.ended["b"]
}

// Holds that end while bodies come in leave nothing behind.
func TestHoldsEndAtAnyTime(t *testing.T) {
	t.Parallel()
	h := &holds{cancel: make(map[string]context.CancelFunc), ended: make(map[string]chan struct{}), keys: make(map[string]iter.Seq[string])}
	c := made(t, Options{Size: 1 << 20, MaxObject: 1000, Hold: h.hold, May: h.may})
	for round := range 50 {
		var wg sync.WaitGroup
		for g := range 3 {
			wg.Go(func() {
				for n := range 10 {
					fill(c, "a", fmt.Sprint("k", n), fmt.Sprint(round, g), 100)
				}
			})
		}
		fill(c, "a", "first", fmt.Sprint(round), 1)
		h.mu.Lock()
		h.no = true
		if cancel := h.cancel["a"]; cancel != nil {
			cancel()
		}
		h.mu.Unlock()
		wg.Wait()
		h.mu.Lock()
		ended := h.ended["a"]
		h.mu.Unlock()
		if ended != nil {
			<-ended
		}
		c.settle()
		for n := range 10 {
			if c.Get("a", fmt.Sprint("k", n)) != nil {
				t.Fatalf("round %d: k%d is kept", round, n)
			}
		}
		h.mu.Lock()
		h.no = false
		h.mu.Unlock()
	}
}

// A cache that ends while it is used ends quietly.
func TestClosedWhileUsed(t *testing.T) {
	t.Parallel()
	for range 20 {
		c := New(Options{Size: 1 << 20, MaxObject: 1000})
		var wg sync.WaitGroup
		for g := range 3 {
			wg.Go(func() {
				for n := range 100 {
					fill(c, "b", fmt.Sprint("k", n), fmt.Sprint(g), 10)
					if b := c.Get("b", "k1"); b != nil {
						c.Drop(b)
					}
				}
			})
		}
		c.Close()
		wg.Wait()
		if n := c.bytes.Load(); n != 0 {
			t.Fatalf("%d bytes are counted after the end", n)
		}
	}
	New(Options{Size: 1}).Close()
}
