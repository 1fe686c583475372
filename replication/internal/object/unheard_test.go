package object

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

// What FaDO changes where users write is no hit anywhere else while it does, and is looked at there at once
// behind it, whatever became of it and of the work that it was part of.
func TestUnheard(t *testing.T) {
	t.Parallel()
	failed := errors.New("it failed")
	for name, test := range map[string]struct {
		but  []string
		err  error
		want []string
	}{
		"a copy, and an object on demand": {want: []string{"c2", "c3"}},
		"but one":                         {but: []string{"c2"}, want: []string{"c3"}},
		"that fails":                      {err: failed, want: []string{"c2", "c3"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.router.Pulled.Set(bkt, "k", "c3", catalog.Pulled{ETag: "e", Size: 1, Current: true, Until: time.Now().Add(time.Hour)})
			rows := func() map[string]state.Pending {
				of := make(map[string]state.Pending)
				w.b.mu.Lock()
				defer w.b.mu.Unlock()
				for ref, r := range w.b.pending {
					of[ref.Cluster] = r
				}
				return of
			}
			ctx, cancel := context.WithCancel(t.Context())
			err := w.Writes.Unheard(ctx, ids.ObjectIn(bkt, "k", "c1"), -1, test.but, func() error {
				during := rows()
				for _, c := range test.want {
					if r, there := during[c]; !there || !r.NextAttempt.After(time.Now()) || r.Size != 0 {
						t.Errorf("while it changes %s has the row %+v", c, r)
					}
				}
				clear(w.b.pending) // as workers that compared too early
				cancel()
				return test.err
			})
			if !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			behind := rows()
			for _, c := range test.want {
				if r, there := behind[c]; !there || r.NextAttempt.After(time.Now()) {
					t.Errorf("behind it %s has the row %+v", c, r)
				}
			}
			if len(behind) != len(test.want) {
				t.Errorf("there are rows %v", behind)
			}
		})
	}
}
