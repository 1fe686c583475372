package copies

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// The tracker's mark is the last key before the first that is not done, whatever the
// order of ends, and counts exactly what lies up to it.
func TestTracker(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tr := NewTracker("", 0, 0)
		type item struct {
			key  string
			done bool
			f    func()
		}
		var items []*item
		check := func() {
			want, n := "", int64(0)
			for _, it := range items {
				if !it.done {
					break
				}
				want, n = it.key, n+1
			}
			if low, objects, _ := tr.Mark(); low != want || objects != n {
				t.Fatalf("mark %q with %d objects, want %q with %d", low, objects, want, n)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"begin": func(*rapid.T) {
				it := &item{key: fmt.Sprintf("%04d", len(items))}
				it.f = tr.Begin(it.key, 1, 10)
				items = append(items, it)
			},
			"pass": func(*rapid.T) {
				it := &item{key: fmt.Sprintf("%04d", len(items)), done: true}
				tr.Pass(it.key, 1, 10)
				items = append(items, it)
			},
			"end": func(t *rapid.T) {
				var open []*item
				for _, it := range items {
					if !it.done {
						open = append(open, it)
					}
				}
				if len(open) == 0 {
					t.Skip()
				}
				it := rapid.SampledFrom(open).Draw(t, "which")
				it.done = true
				it.f()
			},
			"": func(*rapid.T) { check() },
		})
	})
}
