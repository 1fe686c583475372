package control

import (
	"errors"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/state"
)

// ValidateConfig checks a configuration by itself: names, values, and references,
// which may only be to what it declares too, so that a configuration means the same
// on every instance. Every violation is named.
func ValidateConfig(cfg Config, checkBalance func(catalog.RawObject) error) error {
	var all []catalog.Violation
	seen := make(map[state.Ref]bool)
	in := configLookup{declare(cfg)}
	for _, r := range cfg.resources() {
		r.Normalize()
		ref := record.RefTo(r)
		if seen[ref] {
			all = append(all, catalog.Violation{Field: string(ref.Kind) + " " + ref.Name, Value: ref.Name, Expected: "a name declared once"})
		}
		seen[ref] = true
		vs, err := violations(r, in, checkBalance)
		if err != nil {
			return err
		}
		all = append(all, vs...)
	}
	if name := cfg.DefaultPolicy; name != "" && in.Policy(name) == nil {
		all = append(all, catalog.Violation{Field: "default_policy", Value: name, Expected: "a declared policy"})
	}
	if len(all) > 0 {
		return &catalog.ValidationError{Violations: all}
	}
	return nil
}

// violations collects what is wrong with one resource.
func violations(r catalog.Resource, in catalog.Lookup, checkBalance func(catalog.RawObject) error) ([]catalog.Violation, error) {
	var vs []catalog.Violation
	if err := catalog.ValidateResource(r, in); err != nil {
		var ve *catalog.ValidationError
		if !errors.As(err, &ve) {
			return nil, err
		}
		vs = append(vs, ve.Violations...)
	}
	if p, ok := r.(*catalog.Policy); ok && len(p.Balance) > 0 && checkBalance != nil {
		if err := checkBalance(p.Balance); err != nil {
			vs = append(vs, catalog.Violation{
				Field: "policy " + p.Name + ": balance", Value: "{…}", // it may hold a secret, as cookie's does
				Expected: "the JSON of a Caddy selection policy: " + err.Error(),
			})
		}
	}
	return vs, nil
}
