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
	"os"

	"github.com/fado-project/fado/examples/internal/stage"
)

func main() { stage.Main("ha", run) }

func run(ctx context.Context) (err error) {
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
	if err := stage.Walk(ctx, say, w, walk); err != nil {
		return err
	}
	if os.Getenv("HA_ONCE") != "" {
		return nil
	}
	commands(say, w)
	<-ctx.Done()
	return context.Canceled
}
