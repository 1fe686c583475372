package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Step is one thing an example shows: it does it, observes, and fails if what was
// observed is not what FaDO promises.
type Step[W any] struct {
	Title, Why string
	Do         func(ctx context.Context, w W, say *Display) error
}

// Walk does the steps, one after the other, until one fails.
func Walk[W any](ctx context.Context, say *Display, w W, steps []Step[W]) error {
	begin := time.Now()
	for i, s := range steps {
		say.Step(i+1, len(steps), s.Title, s.Why)
		if err := s.Do(ctx, w, say); err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, s.Title, err)
		}
	}
	say.Finished(len(steps), time.Since(begin))
	return nil
}

// Main runs an example until it ends or is told to end, and exits with status 1 if it
// failed.
func Main(name string, run func(context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx)
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Println("\nstopped.")
	case err != nil:
		fmt.Fprintf(os.Stderr, "\n%s: %v\n", name, err)
		os.Exit(1)
	}
}
