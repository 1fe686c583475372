package lbpolicy

import (
	"net/url"
	"strings"
	"testing"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

func endpoints(loads, weights []int) []*routing.Endpoint {
	eps := make([]*routing.Endpoint, len(loads))
	for i := range loads {
		eps[i] = &routing.Endpoint{Function: catalog.Function{Weight: weights[i]}, Live: new(routing.EndpointState)}
		eps[i].Live.InFlight.Store(int64(loads[i]))
	}
	return eps
}

func TestLeastLoadedHasTheLeastLoad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 8).Draw(t, "n")
		loads := rapid.SliceOfN(rapid.IntRange(0, 6), n, n).Draw(t, "loads")
		weights := rapid.SliceOfN(rapid.IntRange(0, 4), n, n).Draw(t, "weights")
		eps := endpoints(loads, weights)
		best := leastLoaded(eps)
		if (best == nil) != (n == 0) {
			t.Fatalf("chose %v of %d", best, n)
		}
		for _, ep := range eps {
			if lessLoaded(ep, best) {
				t.Errorf("%d/%d is less than %d/%d", ep.Live.InFlight.Load(), ep.Weight, best.Live.InFlight.Load(), best.Weight)
			}
		}
	})
}

func TestLeastLoadedDrawsByWeight(t *testing.T) {
	eps := endpoints([]int{3, 1, 2, 9}, []int{3, 1, 2, 1}) // the last is out
	drawn := make(map[*routing.Endpoint]int)
	const n = 60_000
	for range n {
		drawn[leastLoaded(eps)]++
	}
	for i, want := range []int{n / 2, n / 6, n / 3, 0} {
		// Ten standard deviations are about 1200.
		if got := drawn[eps[i]]; got < want-1200 || got > want+1200 {
			t.Errorf("endpoint %d was drawn %d times of %d, want about %d", i, got, n, want)
		}
	}
}

func TestOfferedPool(t *testing.T) {
	for _, test := range []struct {
		weights []int
		want    string
	}{
		{[]int{1, 1, 1}, "abc"},
		{[]int{2, 4, 6}, "abcbcc"},
		{[]int{0, 3}, "abbb"},
		{[]int{5}, "a"},
	} {
		c := new(choice)
		for i, w := range test.weights {
			c.decision.Candidates = append(c.decision.Candidates, &routing.Endpoint{
				Function: catalog.Function{Weight: w}, Dial: string(rune('a' + i)),
			})
		}
		c.offer()
		var got strings.Builder
		for _, up := range c.offered {
			got.WriteString(up.Dial)
		}
		if got.String() != test.want {
			t.Errorf("weights %v: offered %s, want %s", test.weights, got.String(), test.want)
		}
	}
	c := new(choice)
	c.decision.Candidates = []*routing.Endpoint{
		{Function: catalog.Function{Weight: 1}}, {Function: catalog.Function{Weight: 1_000_000}},
	}
	if c.offer(); len(c.offered) != maxOffered {
		t.Errorf("offered %d, want the bound of %d", len(c.offered), maxOffered)
	}
}

func TestPathsBelowAPrefix(t *testing.T) {
	for _, test := range []struct{ base, path, want string }{
		{"http://f/gw", "/a/b", "/gw/a/b"},
		{"http://f/gw/", "/a", "/gw/a"},
		{"http://f/gw", "/", "/gw/"},
		{"http://f/gw", "", "/gw/"},
		{"http://f/gw", "/a%2Fb/c", "/gw/a%2Fb/c"},
		{"http://f/g%2Fw", "/a b", "/g%2Fw/a%20b"},
		{"http://f/g%20w", "/ü", "/g%20w/%C3%BC"},
		{"http://f/gw", "//a", "/gw//a"},
		{"http://f/gw", "*", "*"},
	} {
		base, err := url.Parse(test.base)
		if err != nil {
			t.Fatal(err)
		}
		u := new(url.URL)
		if strings.Contains(test.path, "%") {
			u.Path, _ = url.PathUnescape(test.path)
			u.RawPath = test.path
		} else {
			u.Path = test.path
		}
		prefixPath(u, base)
		if got := u.EscapedPath(); got != test.want {
			t.Errorf("%s below %s: got %s, want %s", test.path, test.base, got, test.want)
		}
	}
}
