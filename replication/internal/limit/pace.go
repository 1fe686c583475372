package limit

import "time"

// A pace is how many objects at a time a storage sustains, once it has shown that it can't
// sustain all slots. A sign of congestion (503, SlowDown, a timeout, a slow answer) halves
// it; as many successes as it has slots add one: additive increase, multiplicative decrease,
// as in TCP. A storage that never complains has no pace and may use all slots.
type pace struct {
	limit   int
	well    int       // successes since the last change
	changed time.Time // time of the last change
}

const (
	// paceEvery bounds how often a pace changes: simultaneous failures count once, and a
	// fast storage gets time to complain before it is asked for more.
	paceEvery = 100 * time.Millisecond
	// slowAnswer is how long the transfer of a small object may take, without the wait for
	// bandwidth, before it is a sign of congestion.
	slowAnswer = 5 * time.Second
)

// Slow reports whether a transfer of size bytes that took so long, without its wait for
// bandwidth, is a sign of congestion.
func Slow(size int64, took time.Duration) bool { return size <= SmallObject && took > slowAnswer }

// SmallObject is the size in bytes up to which an object is small: its transfer costs so
// little that it goes before others, and may be tried on a guess.
const SmallObject = 1 << 20
