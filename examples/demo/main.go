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
	"os"
	"path/filepath"

	"github.com/fado-project/fado/examples/internal/stage"
)

func main() { stage.Main("demo", run) }

func run(ctx context.Context) (err error) {
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
	if err := stage.Walk(ctx, say, w, walk); err != nil {
		return err
	}
	if os.Getenv("DEMO_ONCE") != "" {
		return nil
	}
	link, err := w.signIn(ctx)
	if err != nil {
		return err
	}
	commands(say, w, link)
	<-ctx.Done()
	return context.Canceled
}
