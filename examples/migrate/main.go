// The migration shows docs/migrate-from-minio.md on real parts: a MinIO with versions, tags,
// uploads in parts and odd keys is moved to versitygw while clients write, read, list and
// delete through FaDO's S3 endpoint, without a failed request; back again half-way, and then
// for good. What clients were told is there is compared at the end.
//
//	make migrate-demo        # exit status 0 only if every step held
package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/fado-project/fado/examples/internal/stage"
)

func main() { stage.Main("migrate", run) }

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
	return stage.Walk(ctx, say, w, walk)
}
