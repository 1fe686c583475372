// Package memory remembers things for a while, within a bound. What it forgets must be
// harmless to forget; what must be exact has no place in it. An entry is visible as soon
// as it is noted. Every room of replication may use it.
package memory

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Memory keeps the entries that were noted or used last. Make it with [New].
type Memory[K comparable, V any] struct {
	cache *lru.Cache[K, entry[V]]
	keep  time.Duration
	now   func() time.Time
}

type entry[V any] struct {
	value V
	at    time.Time
}

// New returns a memory of at most so many entries, each for as long as keep says since it
// was noted; 0: for as long as there is room.
func New[K comparable, V any](most int, keep time.Duration, now func() time.Time) *Memory[K, V] {
	cache, err := lru.New[K, entry[V]](max(most, 1))
	if err != nil {
		panic(err) // only for sizes below one
	}
	return &Memory[K, V]{cache: cache, keep: keep, now: now}
}

// Note remembers a value.
func (m *Memory[K, V]) Note(k K, v V) { m.cache.Add(k, entry[V]{v, m.now()}) }

// Get returns what is remembered.
func (m *Memory[K, V]) Get(k K) (V, bool) {
	e, ok := m.cache.Get(k)
	if ok && m.keep > 0 && m.now().Sub(e.at) > m.keep {
		m.cache.Remove(k)
		ok = false
	}
	if !ok {
		var none V
		return none, false
	}
	return e.value, true
}

// Drop forgets a value.
func (m *Memory[K, V]) Drop(k K) { m.cache.Remove(k) }

// Clear forgets everything.
func (m *Memory[K, V]) Clear() { m.cache.Purge() }

// Len returns how many entries are kept, those whose time is over among them.
func (m *Memory[K, V]) Len() int { return m.cache.Len() }
