package main

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/fado-project/fado/examples/internal/stage"
	"github.com/fado-project/fado/internal/testenv"
)

//go:embed Caddyfile
var caddyfile []byte

// The credentials of clients at the endpoint.
const (
	clientKey    = "app"
	clientSecret = "app-secret-for-loopback"
)

// The clusters, and the bucket that moves.
const (
	oldPlace = "minio"
	newPlace = "new"
	bucket   = "reports"
)

// world is all that runs.
type world struct {
	*stage.Client
	dir      string
	old, new *testenv.Server
	atOld    *minio.Client // the storages themselves
	atNew    *minio.Client
	endpoint *minio.Client // FaDO's, as the clients of the load use it
	fado     *stage.Process
	load     *load
	seeded   map[string]object // what was in MinIO before
	history  int               // versions that MinIO kept before
}

func startWorld(ctx context.Context, say *stage.Display) (w *world, err error) {
	w = new(world)
	if w.dir, err = os.MkdirTemp("", "fado-migrate-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.stop()
		}
	}()
	say.Doing("starting MinIO, the old storage, and versitygw, the new one")
	if w.old, w.atOld, err = startStorage(ctx, testenv.KindMinIO, "MINIO_PORT", 9210); err != nil {
		return w, err
	}
	if w.new, w.atNew, err = startStorage(ctx, testenv.KindVersityGW, "VERSITYGW_PORT", 9220); err != nil {
		return w, err
	}
	return w, w.startFaDO(ctx, say)
}

func startStorage(ctx context.Context, kind testenv.Kind, portName string, port int) (*testenv.Server, *minio.Client, error) {
	port, err := stage.Port(portName, port)
	if err != nil {
		return nil, nil, err
	}
	s, err := testenv.Start(ctx, kind, testenv.Options{Port: port, AccessKey: stage.AccessKey, SecretKey: stage.SecretKey, Versioning: true})
	if err != nil {
		return nil, nil, err
	}
	client, err := s.Client()
	return s, client, err
}

func (w *world) startFaDO(ctx context.Context, say *stage.Display) error {
	say.Doing("starting FaDO with its S3 endpoint")
	s3Port, err := stage.Port("FADO_S3_PORT", 9200)
	if err != nil {
		return err
	}
	adminPort, err := stage.Port("FADO_ADMIN_PORT", 2219)
	if err != nil {
		return err
	}
	w.Client = stage.NewClient("", fmt.Sprintf("http://127.0.0.1:%d", adminPort))
	w.endpoint, err = minio.New(fmt.Sprintf("127.0.0.1:%d", s3Port), &minio.Options{
		Creds: credentials.NewStaticV4(clientKey, clientSecret, ""), Region: "us-east-1",
	})
	if err != nil {
		return err
	}
	file := filepath.Join(w.dir, "Caddyfile")
	if err := os.WriteFile(file, caddyfile, 0o600); err != nil {
		return err
	}
	env := []string{
		fmt.Sprintf("FADO_ADMIN_PORT=%d", adminPort), fmt.Sprintf("FADO_S3_PORT=%d", s3Port), "FADO_DB=" + filepath.Join(w.dir, "fado.db"),
		"CLIENT_KEY=" + clientKey, "CLIENT_SECRET=" + clientSecret, "FADO_STORAGE_KEY=" + stage.AccessKey, "FADO_STORAGE_SECRET=" + stage.SecretKey,
		"XDG_DATA_HOME=" + w.dir, "XDG_CONFIG_HOME=" + w.dir,
	}
	w.fado, err = stage.StartProcess(filepath.Join(w.dir, "fado.log"), env, "bin/caddy", "run", "--config", file, "--adapter", "caddyfile")
	if err != nil {
		return err
	}
	return w.fado.Await(ctx, w.AdminURL+"/fado/")
}

// declare makes a cluster of a storage.
func (w *world) declare(ctx context.Context, name string, s *testenv.Server) error {
	return w.API(ctx, http.MethodPost, "/fado/clusters", map[string]any{
		"name": name, "zones": []string{"here"},
		"storage": map[string]any{"endpoint": s.Endpoint, "access_key": "{env.FADO_STORAGE_KEY}", "secret_key": "{env.FADO_STORAGE_SECRET}"},
	}, nil)
}

// policy says in which clusters the bucket is to be.
func (w *world) policy(ctx context.Context, clusters ...string) error {
	return w.API(ctx, http.MethodPatch, "/fado/policies/"+bucket, map[string]any{"clusters": clusters, "copies": len(clusters)}, nil)
}

// bucketView is what of a bucket's status the steps look at.
type bucketView struct {
	Status struct {
		State, Reason, Primary string
		Conflicts              int64
		Copies                 []struct {
			Cluster string
			Losses  []string
		}
		Formers []struct {
			Cluster string
			Strays  int64
		} `json:"former_primaries"`
	}
}

// move makes a cluster the primary, and waits until it is and all is in step.
func (w *world) move(ctx context.Context, say *stage.Display, to string) (time.Duration, error) {
	begun := time.Now()
	if err := w.API(ctx, http.MethodPatch, "/fado/buckets/"+bucket, map[string]any{"primary": to}, nil); err != nil {
		return 0, err
	}
	var b bucketView
	err := stage.Await(ctx, func() (bool, error) {
		err := w.API(ctx, http.MethodGet, "/fado/buckets/"+bucket, nil, &b)
		return b.Status.Primary == to, err
	})
	if err != nil {
		return 0, fmt.Errorf("%s should be the primary, the bucket is %+v: %w", to, b.Status, err)
	}
	took := time.Since(begun)
	return took, w.AwaitOK(ctx, say, bucket, oldPlace, newPlace)
}

// stop ends everything, FaDO first, and removes the data.
func (w *world) stop() {
	if w.load != nil {
		w.load.cancel()
	}
	if w.fado != nil {
		w.fado.Stop()
	}
	for _, s := range []*testenv.Server{w.old, w.new} {
		if s != nil {
			s.Stop()
			s.Close()
		}
	}
	_ = os.RemoveAll(w.dir)
}
