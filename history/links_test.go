package history

import (
	"strconv"
	"sync"
	"testing"
)

// Links count exactly, from many goroutines at a time, and their number is bounded.
func TestLinks(t *testing.T) {
	var l Links
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 1000 {
				l.Add(Link{strconv.Itoa(i % 3), "x"}, 2)
			}
		})
	}
	wg.Wait()
	var all Amount
	for _, a := range l.Amounts() {
		all.Times, all.Bytes = all.Times+a.Times, all.Bytes+a.Bytes
	}
	if all != (Amount{8000, 16_000}) || len(l.Amounts()) != 3 {
		t.Errorf("%d links, %+v in all", len(l.Amounts()), all)
	}
	for i := range 3 * maxLinks {
		l.Add(Link{strconv.Itoa(i), "y"}, 1)
	}
	if n := len(l.Amounts()); n > maxLinks {
		t.Errorf("%d links are kept", n)
	}
}
