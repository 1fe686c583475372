package stage

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/internal/testenv"
)

// The storages of the examples all have the same credentials, for loopback only.
const (
	AccessKey = "fado-demo"
	SecretKey = "fado-demo-secret"
)

// Place is a storage and a function server beside it.
type Place struct {
	Name   string
	MinIO  *testenv.Server
	S3     *minio.Client
	FnAddr string
	Fn     *Process

	dir string
}

// StartPlace starts a storage and a function server, with their data and logs below a
// directory. What was started is returned with an error, too.
func StartPlace(ctx context.Context, dir, name string, minioPort, fnPort int) (*Place, error) {
	p := &Place{Name: name, FnAddr: fmt.Sprintf("127.0.0.1:%d", fnPort), dir: dir}
	var err error
	p.MinIO, err = testenv.Start(ctx, testenv.KindMinIO, testenv.Options{
		Dir: filepath.Join(dir, name), Port: minioPort, AccessKey: AccessKey, SecretKey: SecretKey,
	})
	if err != nil {
		return p, err
	}
	if p.S3, err = p.MinIO.Client(); err != nil {
		return p, err
	}
	return p, p.StartFunction(ctx)
}

// StartFunction starts the function server, again if it was stopped.
func (p *Place) StartFunction(ctx context.Context) (err error) {
	env := []string{"S3_ACCESS_KEY=" + AccessKey, "S3_SECRET_KEY=" + SecretKey}
	p.Fn, err = StartProcess(filepath.Join(p.dir, "function-"+p.Name+".log"), env, "bin/fn", "-name", p.Name, "-listen", p.FnAddr)
	if err != nil {
		return err
	}
	return p.Fn.Await(ctx, "http://"+p.FnAddr+"/healthz")
}

// Close ends both and removes the storage's data.
func (p *Place) Close() {
	if p.Fn != nil {
		p.Fn.Stop()
	}
	if p.MinIO != nil {
		p.MinIO.Stop()
		p.MinIO.Close()
	}
}

// Places are the three of an example.
type Places []*Place

// Names of the places.
var Names = []string{"berlin", "paris", "virginia"}

// StartPlaces starts a storage and a function server in each of Names. The environment
// may give them other ports than those that follow minioBase and fnBase. The environment
// variables that the Caddyfiles of the examples use are returned, too.
func StartPlaces(ctx context.Context, say *Display, dir string, minioBase, fnBase int) (all Places, env []string, err error) {
	env = []string{"DEMO_ACCESS_KEY=" + AccessKey, "DEMO_SECRET_KEY=" + SecretKey}
	for i, name := range Names {
		say.Doing("starting the storage and the function server of %s", name)
		n := strconv.Itoa(i + 1)
		minioPort, err := Port("MINIO_PORT_"+n, minioBase+10*i)
		if err != nil {
			return all, nil, err
		}
		fnPort, err := Port("FN_PORT_"+n, fnBase+i)
		if err != nil {
			return all, nil, err
		}
		p, err := StartPlace(ctx, dir, name, minioPort, fnPort)
		all = append(all, p)
		if err != nil {
			return all, nil, err
		}
		env = append(env, fmt.Sprintf("MINIO_PORT_%s=%d", n, minioPort), fmt.Sprintf("FN_PORT_%s=%d", n, fnPort))
	}
	return all, env, nil
}

// Named returns the place of a name.
func (all Places) Named(name string) *Place {
	for _, p := range all {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// List describes the places in a line.
func (all Places) List(f func(*Place) string) string {
	var parts []string
	for _, p := range all {
		parts = append(parts, f(p))
	}
	return strings.Join(parts, ", ")
}

// Close closes every place.
func (all Places) Close() {
	for _, p := range all {
		p.Close()
	}
}

// Put writes an object of random bytes with a version number and returns its SHA-256.
func (p *Place) Put(ctx context.Context, bucket, key string, size, version int) (string, error) {
	data := make([]byte, size)
	_, _ = rand.Read(data)
	_, err := p.S3.PutObject(ctx, bucket, key, bytes.NewReader(data), int64(size), minio.PutObjectOptions{
		ContentType: "application/octet-stream", UserMetadata: map[string]string{"Version": strconv.Itoa(version)},
	})
	if err != nil {
		return "", fmt.Errorf("writing %s to bucket %s in %s: %w", key, bucket, p.Name, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// Keys lists a bucket: key to ETag; nil if the bucket is not there.
func (p *Place) Keys(ctx context.Context, bucket string) (map[string]string, error) {
	there, err := p.S3.BucketExists(ctx, bucket)
	if err != nil || !there {
		return nil, err
	}
	m := make(map[string]string)
	for o := range p.S3.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			return nil, o.Err
		}
		m[o.Key] = o.ETag
	}
	return m, nil
}

// Port returns a port of an example, overridable by the environment.
func Port(name string, def int) (int, error) {
	v := os.Getenv(name)
	if v == "" {
		return def, nil
	}
	p, err := strconv.Atoi(v)
	if err != nil || p < 1 || p > 65535 {
		return 0, fmt.Errorf("%s=%q: expected a port from 1 to 65535", name, v)
	}
	return p, nil
}
