package storage

import (
	"slices"
	"testing"
)

// What a copy loses is named, and nothing that its source does not have.
func TestLosses(t *testing.T) {
	full := Capabilities{Versioning: true, Tags: true, PreserveVersion: true}
	gateway := Capabilities{Versioning: true, Tags: true}
	for _, c := range []struct {
		name      string
		from, to  Capabilities
		versioned bool
		want      []string
	}{
		{"between equals", full, full, true, []string{}},
		{"what a gateway can't", full, gateway, false, []string{"modification times"}},
		{"of a versioned bucket", full, gateway, true, []string{"version IDs", "older versions", "modification times"}},
		{"a bare storage", full, Capabilities{}, true, []string{"tags", "version IDs", "older versions", "modification times"}},
		{"what was never there", Capabilities{}, Capabilities{}, false, []string{"modification times"}},
		{"to a better one", gateway, full, false, []string{"modification times"}},
	} {
		if got := Losses(c.from, c.to, c.versioned); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
