// Command caddy is Caddy with its standard modules and FaDO: for go run and for
// debugging. Releases are built by xcaddy, see the Makefile. Build it with Caddy's
// own tags:
//
//	go run -tags nobadger,nomysql,nopgx ./cmd/caddy run --config Caddyfile
package main

import (
	_ "time/tzdata"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/fado-project/fado"
)

func main() {
	caddycmd.Main()
}
