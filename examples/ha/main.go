// This example shows several FaDO instances on one PostgreSQL, on real parts: three MinIO
// storages, three function servers, a PostgreSQL, two FaDO instances, and a plain Caddy
// in front of them. It walks through what happens when one of them fails, under load,
// checks what it claims, and then stays up for you to try.
//
//	make ha                # walk through, then stay up until Ctrl-C
//	HA_ONCE=1 make ha      # walk through; exit status 0 only if every step held
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
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
		fmt.Fprintln(os.Stderr, "\nha:", err)
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
			w.showLogs()
		}
	}()
	for i, s := range walk {
		say.Step(i+1, len(walk), s.title, s.why)
		if err := s.do(ctx, w, say); err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, s.title, err)
		}
	}
	say.Finished(len(walk), time.Since(begin))
	if os.Getenv("HA_ONCE") != "" {
		return nil
	}
	commands(say, w)
	<-ctx.Done()
	return context.Canceled
}
