package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/fado-project/fado/catalog"
)

// audit reads the option "audit".
func (p *parser) audit(d *caddyfile.Dispenser, args []string) error {
	if args[0] == "off" && len(args) == 1 {
		p.app.Audit = &Audit{Disabled: true}
		return nil
	}
	keep, err := positive(catalog.ParseDuration, "off, or a duration above 0 such as 400d")(args[0])
	if err != nil {
		return d.Errf("audit: %w", err)
	}
	p.app.Audit = &Audit{Keep: keep}
	if len(args) == 2 {
		p.app.Audit.Key = args[1]
	}
	return nil
}
