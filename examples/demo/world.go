package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/fado-project/fado/examples/internal/stage"
)

//go:embed Caddyfile
var caddyfile []byte

// reports is the bucket that the walk is about.
const reports = "reports"

// world is all that runs.
type world struct {
	*stage.Client
	dir      string
	places   stage.Places
	fado     *stage.Process
	s3       *minio.Core // FaDO's own endpoint
	s3Port   int
	console  string         // its address
	versions map[string]int // of overwritten objects
}

func startWorld(ctx context.Context, say *stage.Display) (w *world, err error) {
	w = &world{versions: make(map[string]int)}
	if w.dir, err = os.MkdirTemp("", "fado-demo-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.stop()
		}
	}()
	var env []string
	if w.places, env, err = stage.StartPlaces(ctx, say, w.dir, 9010, 9101); err != nil {
		return w, err
	}
	say.Doing("starting FaDO (SQLite state)")
	return w, w.startFaDO(ctx, append(env, "FADO_DB="+filepath.Join(w.dir, "fado.db")))
}

func (w *world) startFaDO(ctx context.Context, env []string) error {
	fadoPort, err := stage.Port("FADO_PORT", 6000)
	if err != nil {
		return err
	}
	adminPort, err := stage.Port("FADO_ADMIN_PORT", 2019)
	if err != nil {
		return err
	}
	if w.s3Port, err = stage.Port("FADO_S3_PORT", 9000); err != nil {
		return err
	}
	consolePort, err := stage.Port("FADO_CONSOLE_PORT", 8090)
	if err != nil {
		return err
	}
	w.console = fmt.Sprintf("http://localhost:%d/", consolePort)
	w.s3, err = minio.NewCore(fmt.Sprintf("127.0.0.1:%d", w.s3Port), &minio.Options{
		Creds: credentials.NewStaticV4(stage.AccessKey, stage.SecretKey, ""), Region: "us-east-1",
	})
	if err != nil {
		return err
	}
	w.Client = stage.NewClient(fmt.Sprintf("http://127.0.0.1:%d", fadoPort), fmt.Sprintf("http://127.0.0.1:%d", adminPort))
	file := filepath.Join(w.dir, "Caddyfile")
	if err := os.WriteFile(file, caddyfile, 0o600); err != nil {
		return err
	}
	env = append(env, fmt.Sprintf("FADO_PORT=%d", fadoPort), fmt.Sprintf("FADO_ADMIN_PORT=%d", adminPort), fmt.Sprintf("FADO_S3_PORT=%d", w.s3Port), fmt.Sprintf("FADO_CONSOLE_PORT=%d", consolePort),
		"XDG_DATA_HOME="+w.dir, "XDG_CONFIG_HOME="+w.dir)
	w.fado, err = stage.StartProcess(filepath.Join(w.dir, "fado.log"), env, "bin/caddy", "run", "--config", file, "--adapter", "caddyfile")
	if err != nil {
		return err
	}
	return w.fado.Await(ctx, w.AdminURL+"/fado/")
}

func (w *world) place(name string) *stage.Place { return w.places.Named(name) }

// stop ends everything, FaDO first, and removes the data.
func (w *world) stop() {
	if w.fado != nil {
		w.fado.Stop()
	}
	w.places.Close()
	_ = os.RemoveAll(w.dir)
}
