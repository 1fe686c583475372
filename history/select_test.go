package history

import (
	"slices"
	"testing"
)

// Series are told once, however often they are asked for: what is kept of a question stays in proportion to the answer.
func TestSeriesAreAskedForOnce(t *testing.T) {
	all := []string{"a.x", "a.y", "b"}
	if got, want := Select([]string{"a.", "b", "a.y", "a.", "c", "c"}, all), []string{"a.x", "a.y", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
