package routing_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// Sizes are those noted last, or unknown; few are forgotten before there are many.
func TestSizes(t *testing.T) {
	t.Parallel()
	var s routing.Sizes
	if n, ok := s.Of("b", "k"); ok {
		t.Errorf("%d is known of nothing", n)
	}
	for _, size := range []int64{5, 0, 1 << 42, 7} {
		s.Note("b", "k", size)
		s.Note("b", "k", -1) // not known
		if n, ok := s.Of("b", "k"); !ok || n != size {
			t.Errorf("%d %t, want %d", n, ok, size)
		}
	}
	for _, other := range [][2]string{{"k", "b"}, {"b", ""}, {"", "k"}, {"b", "k2"}, {"bk", ""}} {
		if n, ok := s.Of(other[0], other[1]); ok {
			t.Errorf("%q has %d", other, n)
		}
	}
	const objects = 100_000
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := g; i < objects; i += 4 {
				s.Note("b", fmt.Sprint(i), int64(i))
			}
		})
	}
	wg.Wait()
	known, wrong := 0, 0
	for i := range objects {
		if n, ok := s.Of("b", fmt.Sprint(i)); ok {
			known++
			if n != int64(i) {
				wrong++
			}
		}
	}
	if known < objects*85/100 || wrong > 5 {
		t.Errorf("%d of %d are known, %d wrongly", known, objects, wrong)
	}
	page := reflect.TypeFor[routing.Sizes]().Field(0).Type
	if n := page.Len() * 4096 * int(unsafe.Sizeof(uint64(0))); n > 8<<20 {
		t.Errorf("it may take %d bytes", n)
	}
}

// The cluster with most bytes wins where nobody has all of the inputs, by what is known of them.
func TestMostBytesWin(t *testing.T) {
	t.Parallel()
	r := routing.NewRouter()
	means := func(few, many int64) {
		r.Swap(r.Snapshot().Edit(func(e *routing.Editor) {
			sites(e, 2)
			for name, c := range map[string]catalog.Copy{
				"few":  {Cluster: "c000", Primary: true, State: catalog.CopySynced, MeanSize: few},
				"many": {Cluster: "c001", Primary: true, State: catalog.CopySynced, MeanSize: many},
			} {
				e.PutBucket(&catalog.Bucket{Name: name, Policy: "any"})
				e.SetCopies(name, []catalog.Copy{c})
			}
		}))
	}
	means(0, 0)
	inputs := func(bytes string) []routing.Input {
		in, ok := routing.AppendData(nil, "s3://few/a, s3://many/a, s3://many/b")
		if !ok || !routing.MarkSizes(in, bytes) {
			t.Fatal("unreadable")
		}
		return in
	}
	expect := func(what, bytes, want string) {
		t.Helper()
		var d routing.Decision
		r.Route(&routing.Query{Inputs: inputs(bytes)}, &d)
		if len(d.Candidates) != 1 || d.Candidates[0].Cluster != want {
			t.Errorf("%s: %+v %s, want %s", what, d.Candidates, d.Reason, want)
		}
	}
	expect("nothing is known", "0,0,0", "c001")
	expect("the client says", "100, 10,10", "c000")
	means(100, 10)
	expect("mean objects", "0, 0, 0, 0", "c000") // more than there are inputs: of no use
	expect("the client knows better", "5,10,10", "c001")
	r.Sizes().Note("few", "a", 1000)
	expect("a size is known", "5,10,10", "c000")
	r.Sizes().Note("many", "b", 2000)
	expect("another one, too", "5,10,10", "c001")
}

// Whatever lies where, an invocation goes to a cluster that no other has more bytes than.
func TestNobodyHasMoreBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const clusters = 4
		r := routing.NewRouter()
		n := rapid.IntRange(2, 6).Draw(t, "inputs")
		q := routing.Query{Inputs: make([]routing.Input, n)}
		has := make(map[string]int64)
		r.Swap(r.Snapshot().Edit(func(e *routing.Editor) {
			sites(e, clusters)
			for i := range q.Inputs {
				q.Inputs[i] = routing.Input{Bucket: fmt.Sprint("b", i), Key: "k", Scope: routing.ScopeObject}
				size := rapid.SampledFrom([]int64{1, 3, 10, 30}).Draw(t, "size")
				r.Sizes().Note(q.Inputs[i].Bucket, "k", size)
				places := rapid.SliceOfNDistinct(rapid.IntRange(0, clusters-1), 1, clusters, rapid.ID[int]).Draw(t, "places")
				var copies []catalog.Copy
				for j, c := range places {
					name := fmt.Sprintf("c%03d", c)
					copies = append(copies, catalog.Copy{Cluster: name, Primary: j == 0, State: catalog.CopySynced})
					has[name] += size
				}
				e.PutBucket(&catalog.Bucket{Name: q.Inputs[i].Bucket, Policy: "any"})
				e.SetCopies(q.Inputs[i].Bucket, copies)
			}
		}))
		var d routing.Decision
		r.Route(&q, &d)
		most := slices.Max(slices.Collect(maps.Values(has)))
		if len(d.Candidates) == 0 {
			t.Fatalf("nowhere: %s", d.Reason)
		}
		for _, ep := range d.Candidates {
			if has[ep.Cluster] != most {
				t.Fatalf("%s has %d bytes, and of %v another has more", ep.Cluster, has[ep.Cluster], has)
			}
		}
	})
}

func TestMarkSizes(t *testing.T) {
	t.Parallel()
	for list, want := range map[string][]int64{
		"1,2":                      {2, 3},
		" 0 , 9223372036854775806": {1, 9223372036854775807},
		"1":                        {2, 0},
		"1,2,3":                    {0, 0},
		"1,-2":                     nil,
		"1,x":                      nil,
		"1,":                       nil,
		"1,9223372036854775807":    nil,
		"1,99999999999999999999":   nil,
	} {
		in := []routing.Input{{Bucket: "a"}, {Bucket: "b"}}
		ok := routing.MarkSizes(in, list)
		if ok != (want != nil) || ok && (in[0].Bytes != want[0] || in[1].Bytes != want[1]) {
			t.Errorf("%q: %t %+v", list, ok, in)
		}
	}
}
