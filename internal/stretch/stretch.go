package stretch

import "sync/atomic"

// Scrypt is a cost of scrypt (RFC 7914): 128·N·R bytes of memory, P times over.
type Scrypt struct{ N, R, P int }

var lowered atomic.Bool

// Cost is what new stores take.
func Cost() Scrypt {
	if lowered.Load() {
		return Least()
	}
	return Scrypt{N: 1 << 15, R: 8, P: 3} // OWASP's advice for 32 MiB
}

// Least is the least that a store is opened at.
func Least() Scrypt { return Scrypt{N: 1 << 14, R: 1, P: 1} }

// Lower makes the cost the least, for the tests of a process.
func Lower() { lowered.Store(true) }
