package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/fado-project/fado/catalog"
)

// history reads the option "history".
func (p *parser) history(d *caddyfile.Dispenser, args []string) error {
	h := new(History)
	p.app.HistoryConfig = h
	if args[0] == "off" {
		if h.Disabled = true; len(args) > 1 {
			return d.Errf("wrong number of arguments: expected history off, or history <duration> <interval> [<memory>]")
		}
		return nil
	}
	if len(args) < 2 {
		return d.Errf("wrong number of arguments: expected history off, or history <duration> <interval> [<memory>]")
	}
	var err error
	if h.Keep, err = positive(catalog.ParseDuration, "off, or a duration above 0 such as 24h")(args[0]); err != nil {
		return d.Errf("history: %w", err)
	}
	if h.Interval, err = positive(catalog.ParseDuration, "a duration above 0 such as 10s")(args[1]); err != nil {
		return d.Errf("history: %w", err)
	}
	if len(args) > 2 {
		if h.Memory, err = positive(catalog.ParseSize, "a size above 0 such as 16MiB")(args[2]); err != nil {
			return d.Errf("history: %w", err)
		}
	}
	if err := h.validate(); err != nil {
		return d.Errf("%w", err)
	}
	return nil
}
