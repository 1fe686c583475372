package lines

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Lines come out with all that was counted, in order, each name once, and few of them.
func TestSums(t *testing.T) {
	t.Parallel()
	type total struct {
		kind         Kind
		policy       string
		count, bytes int64
	}
	rapid.Check(t, func(t *rapid.T) {
		one := rapid.Custom(func(t *rapid.T) Line {
			return Line{
				Kind: rapid.SampledFrom([]Kind{Invoked, Refused, Carried}).Draw(t, "kind"), Bucket: fmt.Sprint("b", rapid.IntRange(0, 5).Draw(t, "bucket")),
				Policy: rapid.SampledFrom([]string{"p", "q"}).Draw(t, "policy"), Allowed: rapid.SliceOfN(rapid.SampledFrom([]string{"c1", "c2"}), 0, 2).Draw(t, "allowed"),
				Count: rapid.Int64Range(1, 9).Draw(t, "count"), Bytes: rapid.Int64Range(0, 9).Draw(t, "bytes"),
			}
		})
		all := rapid.SliceOf(one).Draw(t, "lines")
		short := Of(all...).Shorten()
		for i := range short[:max(0, len(short)-1)] {
			if compare(&short[i], &short[i+1]) >= 0 {
				t.Fatalf("%+v is before %+v", short[i], short[i+1])
			}
		}
		sum := func(of []Line) map[string]total {
			sums := make(map[string]total)
			for _, n := range of {
				k := fmt.Sprint(n.Kind, n.Bucket, n.Policy, n.Allowed)
				s := sums[k]
				sums[k] = total{n.Kind, n.Policy, s.count + n.Count, s.bytes + n.Bytes}
			}
			return sums
		}
		if got, want := fmt.Sprint(sum(short)), fmt.Sprint(sum(all)); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

// Beyond so many of a kind, those with least lose their buckets, and others keep theirs.
func TestShorten(t *testing.T) {
	t.Parallel()
	sums := Of(Line{Kind: Refused, Bucket: "kept", Policy: "p", Count: 1})
	for i := range most + 3 {
		sums.Add(Line{Kind: Carried, Bucket: fmt.Sprint("b", i), Prefix: "a/", Policy: "p", Count: int64(1 + i), Bytes: 2})
	}
	short := sums.Shorten()
	if len(short) != most+2 || short[0].Bucket != "kept" {
		t.Fatalf("%d lines, the first %+v", len(short), short[0])
	}
	if n := short[1]; !n.Any || n.Bucket != "" || n.Prefix != "" || n.Count != 1+2+3 || n.Bytes != 6 {
		t.Errorf("the others are %+v", n)
	}
}

// What differs in anything but its sums is kept apart.
func TestApart(t *testing.T) {
	t.Parallel()
	all := []Line{
		{},
		{Kind: Refused},
		{Bucket: "b"},
		{Prefix: "a/"},
		{Policy: "p"},
		{Allowed: []string{"c1"}},
		{From: "c1"},
		{To: "c1"},
		{Via: "c1"},
		{By: "guard"},
		{Any: true},
	}
	if short := Of(append(all, all...)...).Shorten(); len(short) != len(all) {
		t.Errorf("%d lines of %d: %+v", len(short), len(all), short)
	}
}
