// Package fado plugs FaDO into Caddy: importing it registers every module of FaDO,
// so that one --with is all that xcaddy needs:
//
//	xcaddy build v2.11.9 --with github.com/fado-project/fado
//
// FaDO (Function and Data Orchestrator) sends every function invocation to a place
// that already holds the data the invocation names, and keeps copies of that data
// where policy wants them. docs/architecture.md says how it is built.
package fado

import (
	_ "github.com/fado-project/fado/admin"         // admin.api.fado
	_ "github.com/fado-project/fado/admin/console" // http.handlers.fado_console
	_ "github.com/fado-project/fado/caddymodule"   // fado, fado.stores.*, http.handlers.fado_health
	_ "github.com/fado-project/fado/eventhook"     // http.handlers.fado_events
	_ "github.com/fado-project/fado/lbpolicy"      // http.reverse_proxy.{selection_policies.data_aware,upstreams.fado,transport.fado}
	_ "github.com/fado-project/fado/s3gateway"     // http.handlers.fado_s3
)
