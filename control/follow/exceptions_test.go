package follow

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// rowStore is what a shared store knows of pending rows, in the simplest form: one step is
// one transaction.
type rowStore struct {
	gens map[objectKey]int64
	last int64
	log  []state.ObjectChange
}

func (s *rowStore) add(k objectKey) {
	s.last++
	s.gens[k] = s.last
	s.told(k, false)
}

func (s *rowStore) finish(k objectKey, gen int64) bool {
	now, ok := s.gens[k]
	if ok && now != gen {
		return false
	}
	if ok {
		delete(s.gens, k)
		s.told(k, true)
	}
	return true
}

func (s *rowStore) told(k objectKey, gone bool) {
	s.log = append(s.log, state.ObjectChange{
		Seq: state.Seq(len(s.log) + 1), Kind: state.ObjectPending, Bucket: k.bucket, Key: k.key, Cluster: k.cluster, Gone: gone,
	})
}

// exceptionsModel drives the exceptions of one instance by everything that can happen to
// them, in any order, each cut into the steps between which others act.
type exceptionsModel struct {
	store rowStore
	index *routing.PendingIndex
	e     *Exceptions

	pos     int64               // followed up to
	mine    map[objectKey]int64 // gen of the last row that this instance added
	claimed map[objectKey]int64

	adding    []objectKey // of the one operation that may be under way
	stored    bool
	finishing []state.PendingKey
	removed   []bool
	reload    *Reload
	read      int64
	reading   bool
	exhausted bool
}

var modelKeys = []objectKey{{"b", "x", "c1"}, {"b", "y", "c1"}, {"b", "x", "c2"}}

func (m *exceptionsModel) pick(t *rapid.T) objectKey {
	return rapid.SampledFrom(modelKeys).Draw(t, "key")
}

func (m *exceptionsModel) busy() bool { return m.adding != nil || m.finishing != nil }

func (m *exceptionsModel) BeginAdd(t *rapid.T) {
	if m.busy() {
		t.Skip()
	}
	m.adding, m.stored = []objectKey{m.pick(t)}, false
	m.e.Adding(rowsOf(m.adding))
}

func (m *exceptionsModel) StoreAdd(t *rapid.T) {
	if m.adding == nil || m.stored {
		t.Skip()
	}
	m.stored = true
	for _, k := range m.adding {
		m.store.add(k)
		m.mine[k] = m.store.gens[k]
	}
}

func (m *exceptionsModel) EndAdd(t *rapid.T) {
	if m.adding == nil || !m.stored {
		t.Skip()
	}
	m.e.Added(rowsOf(m.adding), nil)
	m.adding = nil
}

func (m *exceptionsModel) Claim(t *rapid.T) {
	k := m.pick(t)
	if gen, ok := m.store.gens[k]; ok {
		m.claimed[k] = gen
	}
}

func (m *exceptionsModel) BeginFinish(t *rapid.T) {
	k := m.pick(t)
	gen, ok := m.claimed[k]
	if m.busy() || !ok {
		t.Skip()
	}
	m.finishing, m.removed = []state.PendingKey{{Bucket: k.bucket, Key: k.key, Cluster: k.cluster, Gen: gen}}, nil
	m.e.Finish(m.finishing)
}

func (m *exceptionsModel) StoreFinish(t *rapid.T) {
	if m.finishing == nil || m.removed != nil {
		t.Skip()
	}
	for _, p := range m.finishing {
		m.removed = append(m.removed, m.store.finish(objectKey{p.Bucket, p.Key, p.Cluster}, p.Gen))
	}
}

func (m *exceptionsModel) EndFinish(t *rapid.T) {
	if m.finishing == nil || m.removed == nil {
		t.Skip()
	}
	m.e.Finished(m.finishing, m.removed)
	m.finishing = nil
}

func (m *exceptionsModel) OthersAdd(t *rapid.T) { m.store.add(m.pick(t)) }

func (m *exceptionsModel) OthersFinish(t *rapid.T) {
	k := m.pick(t)
	if gen, ok := m.store.gens[k]; ok {
		m.store.finish(k, gen)
	}
}

// Read takes in one page of what the store tells, the first of a read or a further one.
func (m *exceptionsModel) Read(t *rapid.T) {
	if !m.reading {
		m.reading, m.read = true, m.e.BeginRead()
	}
	page := m.store.log[m.pos:]
	if limit := rapid.IntRange(1, 3).Draw(t, "page"); len(page) > limit {
		page = page[:limit]
	}
	m.e.Observe(page)
	m.pos += int64(len(page))
	m.exhausted = m.pos == int64(len(m.store.log))
}

// Drop ends a read that came to the end.
func (m *exceptionsModel) Drop(t *rapid.T) {
	if !m.reading || !m.exhausted {
		t.Skip()
	}
	m.e.DropGone(m.read)
	m.reading, m.exhausted = false, false
}

func (m *exceptionsModel) Reload(t *rapid.T) {
	if m.reload == nil {
		m.reload = m.e.BeginReload("b", rapid.SampledFrom([]string{"", "c1"}).Draw(t, "cluster"))
		for k, gen := range m.store.gens {
			if m.reload.cluster == "" || k.cluster == m.reload.cluster {
				m.reload.Row(state.Pending{Bucket: k.bucket, Key: k.key, Cluster: k.cluster, Gen: gen})
			}
		}
		return
	}
	m.e.EndReload(m.reload, nil)
	m.reload = nil
}

// Check: no row that this instance has added, or has been told of, is without its
// exception.
func (m *exceptionsModel) Check(t *rapid.T) {
	for k, gen := range m.store.gens {
		toldOf := m.lastAdded(k) <= m.pos
		if (toldOf || m.mine[k] == gen) && !m.index.Has(k.bucket, k.key, k.cluster) {
			t.Fatalf("%v has a row (generation %d, told of: %v, own: %v) and is no exception", k, gen, toldOf, m.mine[k] == gen)
		}
	}
	for _, k := range m.adding {
		if !m.stored && !m.index.Has(k.bucket, k.key, k.cluster) {
			t.Fatalf("%v is being added and is no exception", k)
		}
	}
}

func (m *exceptionsModel) lastAdded(k objectKey) int64 {
	for _, c := range slices.Backward(m.store.log) {
		if c.Bucket == k.bucket && c.Key == k.key && c.Cluster == k.cluster && !c.Gone {
			return int64(c.Seq)
		}
	}
	return 0
}

func rowsOf(keys []objectKey) (rows []state.Pending) {
	for _, k := range keys {
		rows = append(rows, state.Pending{Bucket: k.bucket, Key: k.key, Cluster: k.cluster})
	}
	return rows
}

// settle lets everything under way end and follows to the end.
func (m *exceptionsModel) settle() {
	if m.adding != nil {
		if !m.stored {
			for _, k := range m.adding {
				m.store.add(k)
			}
		}
		m.e.Added(rowsOf(m.adding), nil)
	}
	if m.finishing != nil {
		if m.removed == nil {
			for _, p := range m.finishing {
				m.removed = append(m.removed, m.store.finish(objectKey{p.Bucket, p.Key, p.Cluster}, p.Gen))
			}
		}
		m.e.Finished(m.finishing, m.removed)
	}
	if m.reload != nil {
		m.e.EndReload(m.reload, nil)
	}
	read := m.e.BeginRead()
	m.e.Observe(m.store.log[m.pos:])
	m.e.DropGone(read)
}

func TestExceptionsOutliveRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		index := routing.NewPendingIndex()
		m := &exceptionsModel{
			store: rowStore{gens: make(map[objectKey]int64)}, index: index, e: NewExceptions(index, new(Signals)),
			mine: make(map[objectKey]int64), claimed: make(map[objectKey]int64),
		}
		m.e.Follow(true)
		t.Repeat(rapid.StateMachineActions(m))
		m.settle()
		for _, k := range modelKeys {
			_, row := m.store.gens[k]
			if has := index.Has(k.bucket, k.key, k.cluster); has != row {
				t.Fatalf("in the end %v has a row: %v, is an exception: %v", k, row, has)
			}
		}
		if n := len(m.e.ahead) + len(m.e.gone) + len(m.e.finishing) + len(m.e.reloads); n > 0 {
			t.Fatal(fmt.Sprint(n, " things are remembered for nothing"))
		}
	})
}

// A row that is stored while its bucket's rows are read again keeps its exception, though the
// read came too early to see it.
func TestReloadBesideAnAddition(t *testing.T) {
	t.Parallel()
	index := routing.NewPendingIndex()
	e := NewExceptions(index, new(Signals))
	rows := rowsOf([]objectKey{{"b", "k", "c"}})
	e.Adding(rows)
	r := e.BeginReload("b", "")
	e.Added(rows, nil)
	e.EndReload(r, nil)
	if !index.Has("b", "k", "c") {
		t.Error("the row is stored and its key no exception")
	}
}

// A row that was stored says nothing of a later one that was not: it is to be stored again.
func TestLaterAdditionLost(t *testing.T) {
	t.Parallel()
	index := routing.NewPendingIndex()
	e := NewExceptions(index, new(Signals))
	rows := rowsOf([]objectKey{{"b", "k", "c"}})
	e.Adding(rows)
	e.Adding(rows)
	e.Added(rows, errors.New("given up"))
	e.Added(rows, nil)
	e.Finish([]state.PendingKey{{Bucket: "b", Key: "k", Cluster: "c"}})
	e.Finished([]state.PendingKey{{Bucket: "b", Key: "k", Cluster: "c"}}, []bool{true})
	lost := e.Lost(10)
	if !index.Has("b", "k", "c") || len(lost) != 1 {
		t.Fatalf("the key is an exception: %t; %d rows are to be stored again", index.Has("b", "k", "c"), len(lost))
	}
	e.Adding(lost)
	e.Added(lost, nil)
	if n := len(e.Lost(10)); n != 0 {
		t.Errorf("%d rows are to be stored again after they were", n)
	}
}
