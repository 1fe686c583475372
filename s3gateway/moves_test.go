package s3gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// moving is clients that each write, read and delete keys of their own, without a second attempt,
// and what they were told is there.
type moving struct {
	wg       sync.WaitGroup
	stop     context.CancelFunc
	patience time.Duration // of moves with what is on its way

	mu    sync.Mutex
	there map[string]string
	done  int
	wrong []string
}

// clients starts one at each of a number of instances.
func clients(t *testing.T, at ...*instance) *moving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	m := &moving{stop: cancel, patience: 2 * time.Second, there: make(map[string]string)}
	if len(at) == 2 { // of one store
		m.patience = 500 * time.Millisecond
	}
	for n, i := range at {
		m.wg.Go(func() {
			for round := 0; ctx.Err() == nil; round++ {
				m.round(i, fmt.Sprintf("%d/%d", n, round%5), fmt.Sprint("round ", round), round%7 == 3)
				time.Sleep(20 * time.Millisecond) // a key's history grows with each round
			}
		})
	}
	return m
}

func (m *moving) round(i *instance, key, body string, remove bool) {
	status, answer := m.change(i, http.MethodPut, key, body)
	m.told(status == http.StatusOK, "PUT %s: %d %s", key, status, answer)
	status, _, answer = i.do(http.MethodGet, "/bkt/"+key, nil, "")
	m.told(status == http.StatusOK && answer == body, "GET %s: %d %s, want %s", key, status, answer, body)
	if remove {
		status, answer = m.change(i, http.MethodDelete, key, "")
		m.told(status == http.StatusNoContent, "DELETE %s: %d %s", key, status, answer)
		body = ""
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.there[key] = body
}

// change makes a request again that a move did not wait for, because it took longer than moves wait.
func (m *moving) change(i *instance, method, key, body string) (int, string) {
	for {
		begun := time.Now()
		status, _, answer := i.do(method, "/bkt/"+key, nil, body)
		if status != http.StatusServiceUnavailable || time.Since(begun) < m.patience {
			return status, answer
		}
	}
}

func (m *moving) told(right bool, format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done++
	if !right {
		m.wrong = append(m.wrong, fmt.Sprintf(format, args...))
	}
}

func (m *moving) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.done
}

// Clients notice nothing of a primary that moves, there and back: no request fails, each reads
// what it wrote, no write is told to conflict with another, and in the end all is everywhere.
func TestMovesGoUnnoticed(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]testenv.Shared{"MinIO": minioB, "versitygw": versA} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.cluster("c1", minioA.Server(t))
			w.cluster("c2", second.Server(t))
			w.policy("both", 2, "c1", "c2")
			w.bucket("bkt", "both", "c1")
			w.noticeNothing(t, w.instance, w.instance, w.instance)
		})
	}
	t.Run("two instances", func(t *testing.T) {
		t.Parallel()
		w, at := shared(t)
		w.must(w.api.EnableVersioning(t.Context(), "bkt")) // there nothing tells of a delete right behind a move
		w.noticeNothing(t, at...)
	})
}

func (w *world) noticeNothing(t *testing.T, at ...*instance) {
	t.Helper()
	m := clients(t, at...)
	defer m.wg.Wait()
	defer m.stop()
	for _, to := range []string{"c2", "c1", "c2"} {
		begun := m.count()
		w.await("clients at work", func() bool { return m.count() >= begun+40 })
		w.apply(&catalog.Bucket{Name: "bkt", Policy: "both", Primary: to})
		w.await("the primary in "+to, func() bool {
			w.noneHeld()
			st, err := w.ctl.Status.Bucket(t.Context(), "bkt")
			w.must(err)
			return st.Primary == to
		})
	}
	m.stop()
	m.wg.Wait()
	for _, wrong := range m.wrong {
		t.Error(wrong)
	}
	w.await("nothing on its way", func() bool {
		w.noneHeld()
		st, err := w.ctl.Status.Bucket(t.Context(), "bkt")
		return err == nil && st.State == control.BucketOK && !slices.ContainsFunc(st.Copies, func(c control.CopyStatus) bool { return c.Pending.Objects > 0 })
	})
	for key, want := range m.there {
		if want == "" {
			want = "NoSuchKey"
		}
		if got := w.get("bkt", key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	t.Logf("%d requests", m.count())
}

// noneHeld fails if people have to decide about an object.
func (w *world) noneHeld() {
	w.Helper()
	rows, err := w.ctl.Store().Queue().ListPending(context.Background(), state.PendingFilter{Bucket: "bkt"}, state.PendingKey{}, 100)
	w.must(err)
	for _, r := range rows {
		if r.Hold != state.HoldNone {
			w.Fatalf("%s at %s is held: %s", r.Key, r.Cluster, r.Error)
		}
	}
}
