package history

import (
	"testing"
	"time"
)

// A window answers with the newest mark that is old enough, and forgets what nobody may ask for.
func TestWindow(t *testing.T) {
	begin := time.Unix(1_800_000_000, 0)
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	w := NewWindow(time.Minute, 5*time.Second, begin, 0)
	if v, when := w.Before(at(-100)); v != 0 || !when.Equal(begin) {
		t.Errorf("the first mark: %d at %v", v, when)
	}
	for s := 1; s <= 300; s++ {
		w.Mark(at(s), s)
	}
	for asked, want := range map[int]int{300: 300, 299: 295, 270: 270, 272: 270, 240: 240, 0: 240} {
		if v, when := w.Before(at(asked)); v != want || !when.Equal(at(want)) {
			t.Errorf("before %d: %d at %v, want %d", asked, v, when, want)
		}
	}
	if n := len(w.marks); n != 13 {
		t.Errorf("%d marks are kept, want 13", n)
	}
}
