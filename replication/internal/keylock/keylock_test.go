package keylock

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

func TestOneAtATimePerKey(t *testing.T) {
	l := New[string]()
	var wg sync.WaitGroup
	inside := map[string]int{} // guarded by the locks themselves: -race tells if they fail
	for i := range 64 {
		key := []string{"a", "b"}[i%2]
		wg.Go(func() {
			unlock, err := l.Lock(t.Context(), key)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			if key == "a" {
				inside["a"]++
			}
		})
	}
	wg.Wait()
	if inside["a"] != 32 || l.Len() != 0 {
		t.Errorf("%d turns and %d locks left, want 32 and none", inside["a"], l.Len())
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New[int]()
		unlock, err := l.Lock(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		waited := make(chan error)
		go func() {
			_, err := l.Lock(ctx, 1)
			waited <- err
		}()
		synctest.Wait()
		select {
		case err := <-waited:
			t.Fatalf("a held lock was taken: %v", err)
		default:
		}
		cancel()
		if err := <-waited; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's end", err)
		}
		unlock()
		if l.Len() != 0 {
			t.Errorf("%d locks left, want none", l.Len())
		}
	})
}
