package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
)

// RemoteStore is a StoreModule whose store may be out of reach when Caddy starts. What
// routing goes by is mirrored on local disk, so that an instance that starts then serves
// what it knew last.
type RemoteStore interface {
	StoreModule
	// Mirror names the store that is mirrored, without secrets and always alike, and
	// bounds the age of a mirror that a start may go by; 0: any age.
	Mirror() (name string, maxAge time.Duration)
}

// Mirror implements RemoteStore.
func (p *Postgres) Mirror() (name string, maxAge time.Duration) {
	return p.target, time.Duration(p.MaxSnapshotAge)
}

// mirrorPath is where the mirror of a store is kept.
func mirrorPath(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(caddy.AppDataDir(), "fado", "mirror-"+hex.EncodeToString(sum[:6])+".db")
}

// storeOptions says how control gets its store.
func (rt *runtime) storeOptions(app *App) (o control.Options, err error) {
	open := func(ctx context.Context) (state.Store, error) {
		store, err := app.store.Open(ctx, StoreOptions{
			Node: app.self.node, EncryptionKey: app.self.encryptionKey, FormerKeys: app.self.formerKeys, Log: rt.logs.logger("fado.store"),
		})
		if err != nil {
			return nil, err
		}
		if err := checkComplete(ctx, store); err != nil {
			return nil, errors.Join(err, store.Close())
		}
		return store, nil
	}
	remote, ok := app.store.(RemoteStore)
	if !ok {
		o.Store, err = open(app.ctx)
		return o, err
	}
	name, maxAge := remote.Mirror()
	o.Open, o.Kind, o.MaxMirrorAge = open, app.store.CaddyModule().ID.Name(), maxAge
	mirror := func(ctx context.Context) (state.Store, error) { return rt.openMirror(ctx, app, mirrorPath(name)) }
	if o.Mirror, err = mirror(app.ctx); err != nil {
		// It is there for bad times and must not make them. During a reload the runtime
		// that is about to end has it.
		rt.logs.logger("fado.mirror").Warn("no local mirror can be kept yet: until it can, this instance will not start without the store",
			zap.Error(err))
		o.Mirror, o.OpenMirror = nil, mirror
	}
	return o, nil
}

// openMirror opens the mirror at a path; it replaces one that can't be used.
func (rt *runtime) openMirror(ctx context.Context, app *App, path string) (state.Store, error) {
	log := rt.logs.logger("fado.mirror")
	options := sqlite.Options{Path: path, Key: []byte(app.self.encryptionKey), FormerKeys: bytesOf(app.self.formerKeys), Log: log}
	mirror, err := sqlite.Open(ctx, options)
	if errors.Is(err, state.ErrCorrupt) || errors.Is(err, state.ErrNoKey) || errors.Is(err, state.ErrNewerSchema) {
		log.Warn("the local mirror can't be used; replacing it with an empty one", zap.String("path", path), zap.Error(err))
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(path + suffix) // what is in the way shows below
		}
		mirror, err = sqlite.Open(ctx, options)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the local mirror %s: %w", path, err)
	}
	return mirror, nil
}

// Interface guard
var _ RemoteStore = (*Postgres)(nil)
