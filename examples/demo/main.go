// The demo shows FaDO's main job on real parts: three MinIO storages and three
// function servers in three places, FaDO in front. It walks through the job step by
// step, checks what it claims, and then stays up for you to try.
//
//	make demo                # walk through, then stay up until Ctrl-C
//	DEMO_ONCE=1 make demo    # walk through; exit status 0 only if every step held
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fado-project/fado/examples/internal/stage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx)
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Println("\nstopped.")
	case err != nil:
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	begin := time.Now()
	say := stage.NewDisplay(os.Stdout)
	w, err := startWorld(ctx, say)
	if err != nil {
		return err
	}
	defer w.stop()
	defer func() {
		if err != nil && !errors.Is(err, context.Canceled) {
			stage.ShowLog(filepath.Join(w.dir, "fado.log"))
		}
	}()
	for i, s := range walk {
		say.Step(i+1, len(walk), s.title, s.why)
		if err := s.do(ctx, w, say); err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, s.title, err)
		}
	}
	say.Finished(len(walk), time.Since(begin))
	if os.Getenv("DEMO_ONCE") != "" {
		return nil
	}
	commands(say, w)
	<-ctx.Done()
	return context.Canceled
}
