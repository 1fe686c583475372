package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// modelBucket is a bucket in plain words.
type modelBucket struct {
	name, state        string
	policies, clusters []string
}

// TestSearchesAreAlike: the index, the snapshot and a search in plain words find the same, whatever there is
// and whatever is asked for, and facets count what each value of a filter would find.
func TestSearchesAreAlike(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policies, clusters := []string{"p0", "p1", "p2"}, []string{"c0", "c1", "c2"}
		names := rapid.SliceOfNDistinct(rapid.StringMatching("[ab]{1,3}[0-9]"), 0, 12, rapid.ID[string]).Draw(t, "names")
		var all []modelBucket
		look := &Fleet{NotOK: make(map[string][]string)}
		snap := routing.NewSnapshot().Edit(func(e *routing.Editor) {
			for _, c := range clusters {
				e.PutCluster(&catalog.Cluster{Name: c})
			}
			for _, name := range names {
				b := modelBucket{
					name: name, state: rapid.SampledFrom(states).Draw(t, "state"),
					policies: []string{rapid.SampledFrom(policies).Draw(t, "policy"), rapid.SampledFrom(policies).Draw(t, "policy of a prefix")},
					clusters: rapid.SliceOfDistinct(rapid.SampledFrom(clusters), rapid.ID[string]).Draw(t, "clusters"),
				}
				e.PutBucket(&catalog.Bucket{Name: name, Policy: b.policies[0], Prefixes: []catalog.PrefixRule{{Prefix: "p/", Policy: b.policies[1]}}})
				var copies []catalog.Copy
				for i, c := range b.clusters {
					copies = append(copies, catalog.Copy{Cluster: c, Primary: i == 0, State: catalog.CopySynced})
				}
				e.SetCopies(name, copies)
				if b.state != control.BucketOK {
					look.NotOK[b.state] = append(look.NotOK[b.state], name)
				}
				all = append(all, b)
			}
		})
		for _, notOK := range look.NotOK {
			slices.Sort(notOK)
		}
		if older := rapid.SliceOfDistinct(rapid.OneOf(rapid.SampledFrom(append(names, "a0")), rapid.StringMatching("[ab][0-9]")), rapid.ID[string]).Draw(t, "older names"); len(older) > 0 {
			look.indexed.Store(newIndex(routing.NewSnapshot().Edit(func(e *routing.Editor) {
				for _, name := range older {
					e.PutBucket(&catalog.Bucket{Name: name, Policy: "p0"})
				}
			}), nil, evenByConfig, nil))
		}
		if rapid.Bool().Draw(t, "same names before") {
			look.indexed.Store(newIndex(snap, map[string][]string{control.BucketStuck: names}, evenByConfig, nil))
		}
		pick := func(of []string) string { return rapid.SampledFrom(append([]string{""}, of...)).Draw(t, "filter") }
		k := Key{State: pick(states), Policy: pick(policies), Cluster: pick(clusters), Part: pick([]string{"a", "b1", "ab"})}
		k.Origin = control.Origin(pick([]string{string(control.OriginAPI), string(control.OriginConfig)}))
		found := func(k Key) (names []string) {
			for _, b := range all {
				if (k.State == "" || k.State == b.state) && (k.Policy == "" || slices.Contains(b.policies, k.Policy)) &&
					(k.Cluster == "" || slices.Contains(b.clusters, k.Cluster)) && strings.Contains(b.name, k.Part) &&
					(k.Origin == "" || k.Origin == evenByConfig(b.name)) {
					names = append(names, b.name)
				}
			}
			slices.Sort(names)
			return names
		}
		s := Search{Key: k, Snapshot: snap, Fleet: look, OriginOf: evenByConfig}
		want := found(k)
		if got := s.Names(); !slices.Equal(got, want) {
			t.Fatalf("%+v: all are %v, want %v", k, got, want)
		}
		after, most := pick(names), rapid.IntRange(1, 4).Draw(t, "most")
		page := slices.DeleteFunc(slices.Clone(want), func(name string) bool { return name <= after })
		page = page[:min(len(page), most)]
		if got, total, err := s.First(t.Context(), after, most); !slices.Equal(got, page) || total != len(want) || err != nil {
			t.Fatalf("%+v: by the snapshot %v of %d, %v, want %v", k, got, total, err, page)
		}
		if got, total := look.index(snap, evenByConfig).first(k, after, most); !slices.Equal(got, page) || total != len(want) {
			t.Fatalf("%+v: by the index %v of %d, want %v", k, got, total, page)
		}
		f := s.Facets()
		if f.Total != len(want) {
			t.Fatalf("%+v: facets of %d", k, f.Total)
		}
		for facet, set := range map[string]struct {
			values []FacetView
			narrow func(k *Key, value string)
		}{
			"states":   {f.States, func(k *Key, v string) { k.State = v }},
			"policies": {f.Policies, func(k *Key, v string) { k.Policy = v }},
			"clusters": {f.Clusters, func(k *Key, v string) { k.Cluster = v }},
			"origins":  {f.Origins, func(k *Key, v string) { k.Origin = control.Origin(v) }},
		} {
			for _, v := range set.values {
				narrowed := k
				if set.narrow(&narrowed, v.Value); v.Buckets != len(found(narrowed)) {
					t.Fatalf("%+v: %s counts %d of %s, want %d", k, facet, v.Buckets, v.Value, len(found(narrowed)))
				}
			}
		}
	})
}

// What is told in another order than that of names is bounded, and counted all the same.
func TestOrderedIsBounded(t *testing.T) {
	t.Parallel()
	snap := routing.NewSnapshot().Edit(func(e *routing.Editor) {
		for i := range MostOrdered + 5 {
			e.PutBucket(&catalog.Bucket{Name: fmt.Sprintf("b-%04d", i)})
		}
	})
	s := Search{Snapshot: snap, Fleet: &Fleet{}, OriginOf: evenByConfig}
	if names, total := s.Ordered(ByState); len(names) != MostOrdered || total != MostOrdered+5 || names[0] != "b-0000" {
		t.Errorf("%d of %d, from %s", len(names), total, names[0])
	}
}

// slowJudge takes its time, and says how often it was asked.
type slowJudge struct {
	judge
	takes time.Duration
	begun int
}

func (j *slowJudge) Judge(ctx context.Context, f func(control.Judged)) (int, error) {
	j.begun++
	select {
	case <-time.After(j.takes):
		return j.judge.Judge(ctx, f)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Who asks while a slow look is due gets the one before at once, until that is too old; quick ones are waited for.
// Looks take one part in fifty of the time at most.
func TestSlowLooksAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &slowJudge{judge: judge{states: map[string]string{"b": control.BucketOK}}, takes: time.Second}
		var looks Looks
		ask := func() (f *Fleet, waited time.Duration) {
			t.Helper()
			began := time.Now()
			f, err := looks.Get(t.Context(), j)
			if err != nil {
				t.Fatal(err)
			}
			return f, time.Since(began)
		}
		first, waited := ask()
		if waited != j.takes {
			t.Errorf("the first is there after %s", waited)
		}
		time.Sleep(share*j.takes - time.Millisecond)
		if again, waited := ask(); again != first || waited != 0 || j.asked != 1 {
			t.Errorf("before it is due: another one is %t, after %s", again != first, waited)
		}
		time.Sleep(time.Millisecond)
		for range 3 {
			if again, waited := ask(); again != first || waited != 0 {
				t.Errorf("while another is under way: another one is %t, after %s", again != first, waited)
			}
		}
		time.Sleep(j.takes + time.Millisecond)
		synctest.Wait()
		if again, _ := ask(); again == first || j.asked != 2 {
			t.Errorf("after the second one: the first is %t, asked %d times", again == first, j.asked)
		}
		time.Sleep(share*j.takes + stale + j.takes)
		if _, waited := ask(); waited != j.takes {
			t.Errorf("one that is too old is told, or the next is there after %s", waited)
		}
	})
}

// While a store hangs, who gives up goes, and one look is under way for all who ask.
func TestHangingLooksHoldNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &slowJudge{judge: judge{states: map[string]string{"b": control.BucketOK}}, takes: time.Hour}
		var looks Looks
		var largest Largest
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			began := time.Now()
			var asked sync.WaitGroup
			for range 2 {
				asked.Go(func() {
					if _, err := looks.Get(ctx, j); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%v", err)
					}
					if _, err := largest.Of(ctx, hangingSizes{}, Key{}, nil); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%v", err)
					}
				})
			}
			asked.Wait()
			cancel()
			if waited := time.Since(began); waited != time.Second {
				t.Errorf("who gives up after a second goes after %s", waited)
			}
		}
		if _, err := looks.Get(t.Context(), j); !errors.Is(err, context.DeadlineExceeded) || j.begun != 1 {
			t.Errorf("%v after %d looks", err, j.begun)
		}
		time.Sleep(patience) // what nobody waits for ends as well
	})
}

type hangingSizes struct{}

func (hangingSizes) EachCopy(ctx context.Context, _ func(state.Copy) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// A look in the background that fails leaves the one before, and the next who asks tries again.
func TestFailedRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &slowJudge{judge: judge{states: map[string]string{"b": control.BucketOK}}, takes: time.Second}
		var looks Looks
		first, err := looks.Get(t.Context(), j)
		if err != nil {
			t.Fatal(err)
		}
		j.err = errors.New("no store")
		time.Sleep(share * j.takes)
		for n := range 2 {
			if f, err := looks.Get(t.Context(), j); f != first || err != nil {
				t.Errorf("%v, %v", f, err)
			}
			time.Sleep(2 * j.takes)
			synctest.Wait()
			if j.asked != n+2 {
				t.Errorf("asked %d times", j.asked)
			}
		}
		time.Sleep(stale)
		if _, err := looks.Get(t.Context(), j); !errors.Is(err, j.err) {
			t.Errorf("what has failed for long is told as %v", err)
		}
	})
}

// The largest of the last searches are kept, and not of any number of them; what fails is not kept.
func TestLargestKeepsFew(t *testing.T) {
	t.Parallel()
	s := threeBuckets(t)
	var l Largest
	failing := failingSizes{errors.New("no store")}
	if _, err := l.Of(t.Context(), failing, Key{}, s.Names()); !errors.Is(err, failing.err) {
		t.Errorf("%v", err)
	}
	for i := range 3 * mostSearches {
		if _, err := l.Of(t.Context(), copiesOf{}, Key{Part: fmt.Sprint(i)}, s.Names()); err != nil || len(l.last) > mostSearches {
			t.Fatalf("%d searches are kept, %v", len(l.last), err)
		}
	}
	if names, err := l.Of(t.Context(), copiesOf{}, Key{}, s.Names()); err != nil || len(names) != 4 {
		t.Errorf("after a failure: %v, %v", names, err)
	}
}

type failingSizes struct{ err error }

func (f failingSizes) EachCopy(context.Context, func(state.Copy) error) error { return f.err }
