package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/fado-project/fado/catalog"
)

const (
	selectionNamespace = "http.reverse_proxy.selection_policies"
	// dataAware can't balance within itself.
	dataAware = "data_aware"
)

// parseBalance reads a Caddy selection policy into its JSON; d stands at the option's
// name. Syntax:
//
//	balance <policy> [<args...>]
func parseBalance(d *caddyfile.Dispenser) (catalog.RawObject, error) {
	if !d.NextArg() {
		return nil, d.Errf("wrong number of arguments: expected balance <policy> [<args...>]")
	}
	name := d.Val()
	if err := knownSelectionPolicy(name); err != nil {
		return nil, d.Errf("balance: %w", err)
	}
	module, err := caddyfile.UnmarshalModule(d, selectionNamespace+"."+name)
	if err != nil {
		return nil, err
	}
	return catalog.RawObject(caddyconfig.JSONModuleObject(module, "policy", name, nil)), nil
}

// knownSelectionPolicy says whether a name is that of a selection policy to balance by.
func knownSelectionPolicy(name string) error {
	if name != dataAware {
		if _, err := caddy.GetModule(selectionNamespace + "." + name); err == nil {
			return nil
		}
	}
	var names []string
	for _, m := range caddy.GetModules(selectionNamespace) {
		if m.ID.Name() != dataAware {
			names = append(names, m.ID.Name())
		}
	}
	return fmt.Errorf("%q: expected one of %s", name, strings.Join(names, ", "))
}

// checkBalance says whether the JSON of a selection policy is one, by loading it the
// way a reverse_proxy would, within a context of its own that ends at once.
func checkBalance(ctx caddy.Context, raw catalog.RawObject) error {
	var decoded map[string]any
	if err := json.Unmarshal(raw, &decoded); err != nil {
		return err
	}
	name, ok := decoded["policy"].(string)
	if !ok {
		return errors.New(`its "policy" is to be the name of a selection policy`)
	}
	if err := knownSelectionPolicy(name); err != nil {
		return err
	}
	if mentionsDataAware(decoded) {
		return errors.New(dataAware + " can't balance within itself")
	}
	delete(decoded, "policy")
	config, err := json.Marshal(decoded)
	if err != nil {
		return err
	}
	ctx, cancel := caddy.NewContext(ctx)
	defer cancel()
	module, err := ctx.LoadModuleByID(selectionNamespace+"."+name, config)
	if err != nil {
		return err
	}
	if _, ok := module.(reverseproxy.Selector); !ok {
		return fmt.Errorf("%s is not a selection policy", name)
	}
	return nil
}

// mentionsDataAware looks for data_aware among the fallbacks of a selection policy.
// Loading one here would ask for the app that is being loaded.
func mentionsDataAware(v map[string]any) bool {
	if v["policy"] == dataAware {
		return true
	}
	for _, sub := range v {
		if m, ok := sub.(map[string]any); ok && mentionsDataAware(m) {
			return true
		}
	}
	return false
}
