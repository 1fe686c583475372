package queue

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

const bkt = "bkt"

var errStore = errors.New("no database")

// book is package control and its store in memory, as far as objects and their rows go.
type book struct {
	router *routing.Router
	added  chan struct{}

	mu      sync.Mutex
	shared  bool
	copies  []state.Copy
	pending map[ids.Object]state.Pending
	gen     int64
	err     error         // of every write
	hang    chan struct{} // when set, Note waits for it before it stores
	claims  int           // rows that were claimed
	named   [][]string    // buckets that claims named
	extends []state.PendingKey
	adds    int // calls that stored rows
	everyw  int // of these, those that returned when every instance routes by them
}

func newBook(router *routing.Router) *book {
	return &book{router: router, added: make(chan struct{}, 1), pending: make(map[ids.Object]state.Pending)}
}

func (b *book) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *book) Store() state.Store { return bookStore{b: b} }

func (b *book) Shared() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.shared
}

func (b *book) UpdateCopies(_ context.Context, _ string, f func([]state.Copy) ([]state.Copy, error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	next, err := f(slices.Clone(b.copies))
	if err == nil {
		b.copies = next
	}
	return err
}

func (b *book) SaveProgress(context.Context, ...state.Copy) error { return nil }

func (b *book) AddPending(ctx context.Context, rows ...state.Pending) error {
	return b.Add(ctx, rows...)
}

func (b *book) Add(ctx context.Context, rows ...state.Pending) error {
	_, err := b.Note(ctx, rows, func() bool { return false })
	return err
}

func (b *book) AddEverywhere(ctx context.Context, rows ...state.Pending) error {
	b.set(func() { b.everyw++ })
	return b.Add(ctx, rows...)
}

func (b *book) Note(_ context.Context, rows []state.Pending, begun func() bool) ([]int64, error) {
	for _, r := range rows {
		b.router.Pending.Add(r.Bucket, r.Key, r.Cluster)
	}
	allBegun := begun()
	b.mu.Lock()
	hang := b.hang
	b.mu.Unlock()
	if hang != nil {
		<-hang
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil, b.err
	}
	if len(rows) > 0 {
		b.adds++
	}
	var gens []int64
	for _, r := range rows {
		b.gen++
		ref := ids.ObjectIn(r.Bucket, r.Key, r.Cluster)
		r.Gen, r.Foreign, r.Gone = b.gen, b.pending[ref].Foreign, b.pending[ref].Gone.With(r.Gone)
		b.pending[ref] = r
		gens = append(gens, b.gen)
	}
	if !allBegun {
		b.wake()
	}
	return gens, nil
}

func (b *book) ListPending(_ context.Context, f state.PendingFilter, after state.PendingKey, _ int) (rows []state.Pending, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.pending {
		if (!f.Gone || r.Gone != "") && (f.Cluster == "" || r.Cluster == f.Cluster) && r.Key >= after.Key {
			rows = append(rows, r)
		}
	}
	return rows, b.err
}

func (b *book) wake() {
	select {
	case b.added <- struct{}{}:
	default:
	}
}

func (b *book) Finish(_ context.Context, keys ...state.PendingKey) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	for _, k := range keys {
		ref := ids.ObjectIn(k.Bucket, k.Key, k.Cluster)
		if b.pending[ref].Gen == k.Gen {
			delete(b.pending, ref)
			b.router.Pending.Remove(k.Bucket, k.Key, k.Cluster)
		}
	}
	return nil
}

func (b *book) Fail(_ context.Context, rows ...state.Pending) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	for _, r := range rows {
		ref := ids.ObjectIn(r.Bucket, r.Key, r.Cluster)
		if b.pending[ref].Gen == r.Gen {
			r.ClaimUntil = time.Time{}
			b.pending[ref] = r
		}
	}
	return nil
}

func (b *book) ClaimIn(_ context.Context, cluster string, most int, lease time.Duration, among ...string) (rows []state.Pending, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil, b.err
	}
	if len(among) > 0 {
		b.named = append(b.named, among)
	}
	now := time.Now()
	for ref, r := range b.pending {
		if ref.Cluster != cluster || len(rows) == most || r.Hold != "" || now.Before(r.NextAttempt) || now.Before(r.ClaimUntil) || len(among) > 0 && !slices.Contains(among, r.Bucket) {
			continue
		}
		r.ClaimUntil = now.Add(lease)
		b.pending[ref] = r
		rows = append(rows, r)
		b.claims++
	}
	return rows, nil
}

func (b *book) ExtendClaims(_ context.Context, _ string, until time.Time, keys ...state.PendingKey) ([]state.PendingKey, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range keys {
		ref := ids.ObjectIn(k.Bucket, k.Key, k.Cluster)
		if r, ok := b.pending[ref]; ok && r.Gen == k.Gen {
			r.ClaimUntil = until
			b.pending[ref] = r
		}
	}
	b.extends = append(b.extends, keys...)
	return keys, b.err
}

func (b *book) Added() <-chan struct{} { return b.added }

func (b *book) Clusters() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	in := make(map[string]bool)
	for ref := range b.pending {
		in[ref.Cluster] = true
	}
	return slices.Sorted(maps.Keys(in))
}

// row returns an object's row.
func (b *book) row(key, cluster string) (state.Pending, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.pending[ids.ObjectIn(bkt, key, cluster)]
	return r, ok
}

func (b *book) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.pending)
}

// bookStore is what is read past package control.
type bookStore struct {
	state.Store
	b *book
}

func (s bookStore) Catalogue() state.Catalogue { return bookStoreCatalogue{of: s} }

type bookStoreCatalogue struct {
	state.Catalogue
	of bookStore
}

func (s bookStoreCatalogue) CopiesOf(context.Context, ...string) ([]state.Copy, error) {
	s.of.b.mu.Lock()
	defer s.of.b.mu.Unlock()
	return slices.Clone(s.of.b.copies), nil
}

func (s bookStore) Queue() state.Queue { return bookStoreQueue{of: s} }

type bookStoreQueue struct {
	state.Queue
	of bookStore
}

func (s bookStoreQueue) ListPending(_ context.Context, f state.PendingFilter, after state.PendingKey, _ int) (rows []state.Pending, err error) {
	if r, ok := s.of.b.row(after.Key, f.Cluster); ok {
		rows = append(rows, r)
	}
	return rows, nil
}
