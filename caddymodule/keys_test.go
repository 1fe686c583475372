package caddymodule

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

func init() { caddy.RegisterModule(new(keyHolder)) }

// keyHolder declares access keys as an S3 endpoint does.
type keyHolder struct {
	Keys []*catalog.Key `json:"keys"`
}

func (*keyHolder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "fado_test_keys", New: func() caddy.Module { return new(keyHolder) }}
}

func (h *keyHolder) Provision(ctx caddy.Context) error {
	app, err := ctx.App(appName)
	if err != nil {
		return err
	}
	return app.(*App).DeclareKeys(h.Keys...)
}

func (*keyHolder) Start() error { return nil }
func (*keyHolder) Stop() error  { return nil }

// Keys that endpoints declare are those of the configuration in force; those that the API made
// work meanwhile, but for one of the same name.
func TestDeclaredAndMadeKeys(t *testing.T) {
	noLeaks(t)
	globals := "fado {\n store sqlite " + filepath.Join(t.TempDir(), "fado.db") + "\n}\n"
	with := func(keys ...map[string]any) config {
		c := parse(t, globals, "")
		c.app("fado_test_keys")["keys"] = keys
		return c
	}
	declared := map[string]any{"name": "AKIA1", "secret": "of-the-config"}
	mustLoad(t, with(declared, declared))
	ctl := running(t).Control()
	origin := func(name string) control.Origin {
		it, err := ctl.Resources.Get(context.Background(), catalog.KindKey, name)
		if err != nil {
			t.Fatal(err)
		}
		return it.Origin
	}
	if origin("AKIA1") != control.OriginConfig {
		t.Fatal("the declared key is not shown as the configuration's")
	}
	if k := running(t).Router().Snapshot().Key("AKIA1"); k != nil {
		t.Fatal("a declared key works at other endpoints: ", k)
	}
	if _, err := ctl.Resources.Create(context.Background(), &catalog.Key{Name: "AKIA2", Secret: "of-the-api"}); err != nil {
		t.Fatal(err)
	}
	if k := running(t).Router().Snapshot().Key("AKIA2"); k == nil || k.Secret != "of-the-api" {
		t.Fatal(k)
	}

	mustLoad(t, with(map[string]any{"name": "AKIA2", "secret": "of-the-config"}))
	if k := running(t).Router().Snapshot().Key("AKIA2"); k != nil || origin("AKIA2") != control.OriginConfig {
		t.Fatal("the API's key works beside the configuration's: ", k)
	}
	for what, bad := range map[string]config{
		"different settings": with(declared, map[string]any{"name": "AKIA1", "secret": "another-secret"}),
		"key AKIA1: secret":  with(map[string]any{"name": "AKIA1", "secret": "short"}),
	} {
		if err := bad.load(); err == nil || !strings.Contains(err.Error(), what) {
			t.Fatalf("%v does not say %q", err, what)
		}
		if k := running(t).Router().Snapshot().Key("AKIA2"); k != nil || origin("AKIA2") != control.OriginConfig {
			t.Fatal("a failed reload changed the keys")
		}
	}
	mustLoad(t, with())
	if k := running(t).Router().Snapshot().Key("AKIA2"); k == nil || k.Secret != "of-the-api" {
		t.Fatal("the API's key does not work again: ", k)
	}
}
