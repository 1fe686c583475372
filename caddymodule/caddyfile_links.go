package caddymodule

import (
	"fmt"
	"math"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/fado-project/fado/catalog"
)

func (p *parser) link(d *caddyfile.Dispenser, field string, l *catalog.Link) error {
	p.at[field] = *d
	return parseBlock(d, "link "+l.To, field+".", p.at, options{
		"bandwidth": value("bandwidth <rate>", &l.Bandwidth, positive(catalog.ParseSize, "a rate above 0 such as 200MiB")),
		"latency":   value("latency <duration>", &l.Latency, positive(catalog.ParseDuration, "a duration above 0 such as 20ms")),
		"price": value("price <n>", &l.Price, func(s string) (*float64, error) {
			n, err := price(s)
			return &n, err
		}),
		"one_way": present("one_way", &l.OneWay),
	})
}

// price reads what a GB costs; its range is for validation.
func price(s string) (float64, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0, fmt.Errorf("%q: expected a price per GB such as 0.02", s)
	}
	return n, nil
}
