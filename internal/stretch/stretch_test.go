package stretch

import "testing"

// TestLower: a process has the full cost until its tests ask for the least.
func TestLower(t *testing.T) {
	t.Cleanup(func() { lowered.Store(false) })
	full := Scrypt{N: 32768, R: 8, P: 3}
	if got := Cost(); got != full {
		t.Errorf("the cost is %+v, want %+v", got, full)
	}
	if got := Least(); got == full {
		t.Errorf("the least is the full cost, %+v", got)
	}
	Lower()
	if got := Cost(); got != Least() || got.N*got.R*got.P >= full.N*full.R*full.P/40 {
		t.Errorf("lowered, the cost is %+v, want a fortieth of %+v", got, full)
	}
}
