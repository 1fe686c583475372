package routing

import "time"

// moment is a time in quarters of a second, small enough to be kept for every copy; 0 is
// none. It ends in 2053.
type moment uint32

const momentUnit = 250 * time.Millisecond

var momentZero = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// always is later than any time: what is missed up to it is being missed now.
const always = ^moment(0)

// momentOf rounds a time down. The zero time is none.
func momentOf(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	return moment(min(max(t.Sub(momentZero)/momentUnit, 1), time.Duration(always-1)))
}

// momentAfter rounds a time up: what began then or later began after t.
func momentAfter(t time.Time) moment {
	m := momentOf(t)
	if m.time().Before(t) {
		m++
	}
	return m
}

func (m moment) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return momentZero.Add(time.Duration(m) * momentUnit)
}
