package memory

import (
	"testing"
	"time"
)

func TestMemory(t *testing.T) {
	now := time.Unix(0, 0)
	m := New[string, int](2, time.Minute, func() time.Time { return now })
	m.Note("a", 1)
	now = now.Add(30 * time.Second)
	m.Note("b", 2)
	if v, ok := m.Get("a"); !ok || v != 1 {
		t.Errorf("a is %d, %t: want 1 at once", v, ok)
	}
	now = now.Add(31 * time.Second)
	if _, ok := m.Get("a"); ok {
		t.Error("a is remembered after its time")
	}
	m.Note("c", 3)
	m.Note("d", 4)
	if _, ok := m.Get("b"); ok || m.Len() != 2 {
		t.Errorf("%d entries, b among them %t: want the last two", m.Len(), ok)
	}
	m.Drop("c")
	if _, ok := m.Get("c"); ok {
		t.Error("c is remembered after it was dropped")
	}
	m.Clear()
	if m.Len() != 0 {
		t.Errorf("%d entries after everything was forgotten", m.Len())
	}
}

// Without a time to keep them, entries go only for want of room, those first that nobody asked for.
func TestMemoryWithoutEnd(t *testing.T) {
	now := time.Unix(0, 0)
	m := New[string, int](2, 0, func() time.Time { return now })
	m.Note("a", 1)
	m.Note("b", 2)
	now = now.Add(1000 * time.Hour)
	if v, ok := m.Get("a"); !ok || v != 1 {
		t.Errorf("a is %d, %t: want 1, however late", v, ok)
	}
	m.Note("c", 3)
	if _, ok := m.Get("b"); ok {
		t.Error("b is remembered, which nobody asked for")
	}
	if _, ok := m.Get("a"); !ok {
		t.Error("a is forgotten, which was asked for")
	}
}
