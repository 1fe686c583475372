package routing

import (
	"testing"
	"unsafe"
)

// TestEntryIsACacheLine: entries lie side by side, so that one of any other size is in two lines as often as not.
func TestEntryIsACacheLine(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(entry{}); size != 64 {
		t.Errorf("an entry takes %d bytes", size)
	}
}
